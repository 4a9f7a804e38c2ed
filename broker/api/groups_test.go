package api

import (
	"net/netip"
	"testing"
)

// Java's InetAddress.toString without a name, as Kafka puts it into records and answers.
func TestJavaAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1":        "/127.0.0.1",
		"::ffff:10.0.0.7":  "/10.0.0.7",
		"::1":              "/0:0:0:0:0:0:0:1",
		"fe80::1ff:0:ab%2": "/fe80:0:0:0:0:1ff:0:ab%2",
	} {
		if got := javaAddress(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is spelled %s, should be %s", addr, got, want)
		}
	}
}

func TestChosen(t *testing.T) {
	for _, c := range []struct {
		filter []string
		value  string
		want   bool
	}{
		{nil, "Stable", true},
		{[]string{}, "Stable", true},
		{[]string{"Empty", "STABLE"}, "Stable", true},
		{[]string{"Empty"}, "Stable", false},
		{[]string{"no such state"}, "Stable", false},
	} {
		if got := chosen(c.filter, c.value); got != c.want {
			t.Errorf("filter %q lets %s through: %v", c.filter, c.value, got)
		}
	}
}
