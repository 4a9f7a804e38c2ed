package javatext

import (
	"math"
	"slices"
	"testing"
)

func TestUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"höhe":                  "höhe",
		"\xff\xff":              "\ufffd\ufffd",
		"\xe2\x82":              "\ufffd",
		"\xe2\x82a":             "\ufffda",
		"\xe2a":                 "\ufffda",
		"\xf0\x9f\x98":          "\ufffd",
		"\xf0\x8f\x98\x80":      "\ufffd\ufffd\ufffd\ufffd",
		"\xed\xa0\x80":          "\ufffd\ufffd\ufffd", // a surrogate
		"\xc0\x80":              "\ufffd\ufffd",
		"a\xf5b\ufffdc\x80":     "a\ufffdb\ufffdc\ufffd",
		"\xf4\x90\x80\x80":      "\ufffd\ufffd\ufffd\ufffd",
		"\xe0\xa0\xe0\xa0\x80x": "\ufffd\u0800x",
	} {
		if got := UTF8([]byte(in)); got != want {
			t.Errorf("UTF8(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFloats(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", -1.5: "-1.5", 1e7: "1.0E7", 9999999: "9999999.0", 0.001: "0.001", 0.0009: "9.0E-4",
		123456789.5: "1.234567895E8", math.Inf(-1): "-Infinity", math.MaxFloat64: "1.7976931348623157E308"} {
		if got := Double(f); got != want {
			t.Errorf("Double(%v) = %s, want %s", f, got, want)
		}
	}
	if got := Float(3.4028235e38); got != "3.4028235E38" {
		t.Errorf("Float: %s", got)
	}
}

// A partition's hash is 31*(31+partition)+hash of the topic (TopicPartition.hashCode); the order is that printed by
// kafka-dump-log 3.9.1.
func TestHashTableOrder(t *testing.T) {
	var set HashTable[string]
	set.Reserve(1)
	set.Add(31*(31+2)+StringHash("__consumer_offsets"), "__consumer_offsets-2")
	set.Reserve(1)
	set.Add(31*(31+0)+StringHash("txn"), "txn-0")
	if got := set.All(); !slices.Equal(got, []string{"txn-0", "__consumer_offsets-2"}) {
		t.Errorf("got %v", got)
	}
	if h := StringHash("hello"); h != 99162322 {
		t.Errorf("hash of hello: %d", h)
	}
}
