package storage

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func TestFileNames(t *testing.T) {
	if got := fileName(1234567, indexSuffix); got != "00000000000001234567.index" {
		t.Error(got)
	}
	if got := fileName(9223372036854775807, logSuffix+swapSuffix); got != "09223372036854775807.log.swap" {
		t.Error(got)
	}
	for name, want := range map[string]int64{"00000000000000000042.log": 42, "7.snapshot": 7, "leader-epoch-checkpoint": -1, ".log": -1, "x.log": -1,
		"-3.log": -1, "+3.log": -1, "99999999999999999999.log": -1} {
		base, suffix, ok := parseFileName(name)
		if ok != (want >= 0) || ok && (base != want || suffix != name[strings.IndexByte(name, '.'):]) {
			t.Errorf("%s: %d %q %v", name, base, suffix, ok)
		}
	}
}

func TestDirNames(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for name, want := range map[string]struct {
		tp   string
		kind dirKind
	}{
		"a-0":                           {"a-0", currentDir},
		"my-topic.x-12":                 {"my-topic.x-12", currentDir},
		"a.b-1-7":                       {"a.b-1-7", currentDir},
		"a-3." + id + "-delete":         {"a-3", deletedDir},
		"a.b-3." + id + "-future":       {"a.b-3", futureDir},
		"a-3." + id + "-stray":          {"a-3", strayDir},
		"a":                             {},
		"-1":                            {},
		"a-":                            {},
		"a-x":                           {},
		"a--1":                          {"a--1", currentDir},
		"a-1.-delete":                   {},
		"a-delete":                      {},
		"a b-1":                         {},
		"a-99999999999":                 {},
		"consumer-offsets-1.5-notthere": {},
	} {
		tp, kind, err := parseDirName(name)
		if (err == nil) != (want.tp != "") {
			t.Errorf("%s: %v %v", name, tp, err)
		} else if err == nil && (tp.String() != want.tp || kind != want.kind) {
			t.Errorf("%s: %v %v", name, tp, kind)
		}
	}
	long := meta.TopicPartition{Topic: strings.Repeat("x", 249), Partition: 3}
	name, err := uniqueDirName(long, deleteDirSuffix)
	if err != nil || len(name) != maxNameLength {
		t.Errorf("%d characters, %v", len(name), err)
	}
	if _, kind, err := parseDirName(name); kind != deletedDir || err != nil {
		t.Errorf("%v %v", kind, err)
	}
	if _, err := uniqueDirName(long, futureDirSuffix); err == nil {
		t.Error("a future directory cannot have that name")
	}
}

func TestOffsetCheckpoints(t *testing.T) {
	want := map[meta.TopicPartition]int64{{Topic: "a", Partition: 0}: 5, {Topic: "a", Partition: 1}: 0, {Topic: "b.c", Partition: 12}: 1 << 40}
	text := formatOffsets(want)
	if string(text) != "0\n3\na 0 5\na 1 0\nb.c 12 1099511627776\n" {
		t.Errorf("%q", text)
	}
	got, err := parseOffsets(text)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v %v", got, err)
	}
	for _, ok := range []string{"", "0\n0\n", "0\n1\na \t 0  5\n", "0\n1\na 0 5"} {
		if _, err := parseOffsets([]byte(ok)); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"1\n0\n", "x", "0\n", "0\n-1\n", "0\n2\na 0 5\n", "0\n1\na 0 5\nb 0 5\n", "0\n1\na 0\n", "0\n1\na x 5\n", "0\n1\na 0 x\n",
		"0\n1\n\na 0 5\n", "\x00\x00\x00", "0\n1\na 0 99999999999999999999\n"} {
		if _, err := parseOffsets([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	list := []EpochEntry{{0, 0}, {3, 100}}
	if e, err := parseEpochs(formatEpochs(list)); err != nil || !slices.Equal(e, list) {
		t.Errorf("%v %v", e, err)
	}
	if _, err := parseEpochs([]byte("0\n1\n-1 5\n")); err == nil {
		t.Error("a negative epoch was accepted")
	}
}

func TestPartitionMetadata(t *testing.T) {
	id := meta.NewTopicID()
	text := formatPartitionMetadata(id)
	if string(text) != "version: 0\ntopic_id: "+id.String() {
		t.Errorf("%q", text)
	}
	for _, s := range []string{string(text), string(text) + "\n"} {
		if got, err := parsePartitionMetadata([]byte(s)); err != nil || got != id {
			t.Errorf("%v %v", got, err)
		}
	}
	for _, bad := range []string{"", "version: 1\ntopic_id: " + id.String(), "version: 0\n", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", "version: 0\ntopic_id: ?"} {
		if _, err := parsePartitionMetadata([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestMetaPropertiesFile(t *testing.T) {
	p := MetaProperties{BrokerID: 7, ClusterID: "DExacTFzSn6h73vQa3ZQnA", DirectoryID: "d"}
	got, err := parseMetaProperties(formatMetaProperties(p, time.Unix(0, 0)))
	if err != nil || got != p {
		t.Errorf("%+v %v", got, err)
	}
	got, err = parseMetaProperties([]byte("#\n#Sun Nov 22\nversion=0\nbroker.id=1\ncluster.id=a\\=b\n"))
	if err != nil || got.ClusterID != "a=b" || got.BrokerID != 1 {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"version=1\nnode.id=3\n", "version=0\nbroker.id=x\n"} {
		if _, err := parseMetaProperties([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	check(t, err)
	return b
}

// TestSnapshotBytes is a snapshot as Kafka's classes write it.
func TestSnapshotBytes(t *testing.T) {
	golden := unhex(t, "0001 d9bf3963 00000001 0000000000000fa0 0003 0000000e 0000000000000068 00000004 0000018bcfe56800 00000009 0000000000000064")
	list, err := decodeSnapshot(golden)
	check(t, err)
	p := list[0]
	if p.id != 4000 || p.epoch != 3 || p.lastSequence() != 14 || p.batches[0].lastOffset != 104 || p.batches[0].firstOffset() != 100 ||
		p.batches[0].firstSequence() != 10 || p.coordinatorEpoch != 9 || p.txnStart != 100 {
		t.Errorf("%+v", p)
	}
	if got := encodeSnapshot([]*producer{&p}); string(got) != string(golden) {
		t.Errorf("%x", got)
	}
	marker := unknownProducer(5)
	marker.epoch = 2
	back, err := decodeSnapshot(encodeSnapshot([]*producer{&marker}))
	if err != nil || back[0] != marker {
		t.Errorf("%+v %v", back, err)
	}
	for i := range golden {
		bad := slices.Clone(golden)
		bad[i] ^= 0x40
		if _, err := decodeSnapshot(bad); err == nil {
			t.Errorf("flipped bit in byte %d not noticed", i)
		}
		if _, err := decodeSnapshot(golden[:i]); err == nil {
			t.Errorf("%d of %d bytes accepted", i, len(golden))
		}
	}
}

// TestTxnIndexBytes is an entry as Kafka's classes write it.
func TestTxnIndexBytes(t *testing.T) {
	golden := unhex(t, "0000 0000000000000fa0 000000000000000a 0000000000000032 000000000000002d")
	want := abortedTxn{4000, 10, 50, 45}
	got, err := decodeTxn(golden)
	if b := want.encode(); err != nil || got != want || string(b[:]) != string(golden) {
		t.Errorf("%+v %v %x", got, err, b)
	}
	golden[1] = 1
	if _, err := decodeTxn(golden); err == nil {
		t.Error("version 1 was accepted")
	}
}
