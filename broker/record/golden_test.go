package record

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testdata/golden has the segments of topics written by Apache Kafka 3.9.1
// (NAME.log.gz; formats 0 and 1 by a broker with message.format.version set),
// and what a Java consumer read from them (NAME.jsonl.gz).

type goldenTopic struct {
	name string
	log  []byte
	want []plainRecord
	kind TimestampType // of all records
}

func goldenTopics(t testing.TB) []goldenTopic {
	t.Helper()
	files, err := filepath.Glob("testdata/golden/*.log.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden logs", err)
	}
	var topics []goldenTopic
	for _, f := range files {
		name := strings.TrimSuffix(f, ".log.gz")
		g := goldenTopic{name: filepath.Base(name), log: gunzipFile(t, f)}
		g.want, g.kind = consumed(t, gunzipFile(t, name+".jsonl.gz"))
		topics = append(topics, g)
	}
	return topics
}

func gunzipFile(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func consumed(t testing.TB, lines []byte) (out []plainRecord, kind TimestampType) {
	t.Helper()
	unbase := func(s *string) []byte {
		if s == nil {
			return nil
		}
		b, err := base64.StdEncoding.DecodeString(*s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for line := range bytes.Lines(lines) {
		var r struct {
			Offset, Timestamp int64
			TimestampType     string `json:"timestamp_type"`
			Key, Value        *string
			Headers           [][]*string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		p := plainRecord{offset: r.Offset, timestamp: r.Timestamp, key: unbase(r.Key), value: unbase(r.Value)}
		for _, h := range r.Headers {
			p.headers = append(p.headers, RecordHeader{*h[0], unbase(h[1])})
		}
		out = append(out, p)
		for _, k := range []TimestampType{NoTimestampType, CreateTime, LogAppendTime} {
			if k.String() == r.TimestampType {
				kind = k
			}
		}
	}
	return out, kind
}

// dataRecords reads what a consumer would get.
func dataRecords(t testing.TB, log []byte) (out []plainRecord) {
	t.Helper()
	for b, err := range Batches(log) {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.CheckCRC(); err != nil {
			t.Fatalf("at %d: %v", b.BaseOffset(), err)
		}
		if !b.IsControl() {
			out = append(out, collect(t, b)...)
		}
	}
	return out
}

func TestGoldenLogs(t *testing.T) {
	for _, g := range goldenTopics(t) {
		t.Run(g.name, func(t *testing.T) {
			got := dataRecords(t, g.log)
			if len(got) != len(g.want) {
				t.Fatalf("%d records, want %d", len(got), len(g.want))
			}
			for i := range got {
				if !samePlain(got[i], g.want[i]) {
					t.Fatalf("record %d:\ngot  %+v\nwant %+v", i, got[i], g.want[i])
				}
			}
			if g.name == "mixed" || g.name == "mixed-after-upgrade" {
				return
			}
			for b := range Batches(g.log) {
				if b.TimestampType() != g.kind {
					t.Errorf("batch at %d: %s", b.BaseOffset(), b.TimestampType())
				}
			}
		})
	}
}

// Built again, an uncompressed batch has the same bytes and a compressed one
// the same header but for sizes, and the same records.
func TestGoldenRebuild(t *testing.T) {
	for _, g := range goldenTopics(t) {
		for b := range Batches(g.log) {
			if b.Magic() < Magic2 {
				continue
			}
			if b.Count() == 0 {
				if !bytes.Equal(AppendEmptied(nil, b), b) {
					t.Errorf("%s at %d: emptied batch differs", g.name, b.BaseOffset())
				}
				continue
			}
			o := BuilderOptions{BaseOffset: b.BaseOffset(), PartitionLeaderEpoch: b.PartitionLeaderEpoch(), Codec: b.Codec(),
				Transactional: b.IsTransactional(), Control: b.IsControl(), TimestampType: b.TimestampType(), LogAppendTime: b.MaxTimestamp(),
				Producer: &ProducerInfo{b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()}}
			if b.HasDeleteHorizon() {
				horizon := b.BaseTimestamp()
				o.DeleteHorizon = &horizon
			}
			builder := NewBuilder(o)
			for rec, err := range b.Records(nil) {
				if err != nil {
					t.Fatal(err)
				}
				rec.Timestamp = b.BaseTimestamp() + rec.TimestampDelta
				builder.AppendRecord(&rec)
			}
			builder.SetLastOffset(b.LastOffset())
			got, err := builder.Build()
			if err != nil {
				t.Fatal(err)
			}
			if b.Codec() == None && !bytes.Equal(got, b) {
				t.Errorf("%s at %d: bytes differ", g.name, b.BaseOffset())
			}
			h, want := got.Header(), b.Header()
			h.Length, h.CRC, want.Length, want.CRC = 0, 0, 0, 0
			if h != want || !slices.EqualFunc(collect(t, got), collect(t, b), samePlain) {
				t.Errorf("%s at %d: %+v, want %+v", g.name, b.BaseOffset(), h, want)
			}
		}
	}
}

func TestGoldenMarkers(t *testing.T) {
	var markers int
	for b := range Batches(gunzipFile(t, "testdata/golden/txn.log.gz")) {
		if !b.IsControl() {
			continue
		}
		m, ok, err := b.EndTxn()
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		again, err := AppendEndTxn(nil, m, b.ProducerID(), b.ProducerEpoch(), b.BaseTimestamp())
		if err != nil {
			t.Fatal(err)
		}
		Batch(again).SetBaseOffset(b.BaseOffset())
		Batch(again).SetPartitionLeaderEpoch(b.PartitionLeaderEpoch())
		if !bytes.Equal(again, b) {
			t.Errorf("marker at %d differs", b.BaseOffset())
		}
		markers++
	}
	if markers < 5 {
		t.Errorf("%d markers", markers)
	}
}

func TestFirstOffset(t *testing.T) {
	for _, g := range goldenTopics(t) {
		for b := range Batches(g.log) {
			first, err := b.FirstOffset(nil)
			if err != nil {
				t.Fatal(err)
			}
			if r := collect(t, b); len(r) > 0 && b.Magic() < Magic2 && first != r[0].offset {
				t.Errorf("%s: first offset %d, want %d", g.name, first, r[0].offset)
			}
		}
	}
}
