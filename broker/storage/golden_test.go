package storage

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// The archives in testdata are log directories of Apache Kafka 3.9.1: clean is two brokers after a clean stop, crash the
// same later after kill -9 and some damage by hand, recovered what Kafka made of crash. The .consumed ones are what its
// clients were told.

// TestGoldenClean opens directories that Kafka closed cleanly and closes them again: nothing may change.
func TestGoldenClean(t *testing.T) {
	for _, broker := range []string{"1", "2"} {
		dir := filepath.Join(untar(t, "clean.tar.gz"), "clean", broker)
		before := tree(t, dir)
		m, err := OpenManager(context.Background(), goldenOptions(dir))
		check(t, err)
		becomeLeader(t, m, before)
		check(t, m.Close())
		// Kafka's loading drops these too: see recovered.
		delete(before, "epochs-0/00000000000000000027.snapshot")
		delete(before, "deleted-all-0/00000000000000000096.snapshot")
		delete(before, "deleted-all-0/00000000000000000100.snapshot")
		compareTrees(t, before, tree(t, dir))
	}
}

// TestGoldenRecover recovers directories of brokers that were killed, and compares with what Kafka made of them.
func TestGoldenRecover(t *testing.T) {
	for _, broker := range []string{"1", "2"} {
		dir := filepath.Join(untar(t, "crash.tar.gz"), "crash", broker)
		want := tree(t, filepath.Join(untar(t, "recovered.tar.gz"), "recovered", broker))
		m, err := OpenManager(context.Background(), goldenOptions(dir))
		check(t, err)
		becomeLeader(t, m, want)
		check(t, m.Close())
		compareTrees(t, want, tree(t, dir))
	}
}

// becomeLeader does what a broker does with its logs once told who leads: high watermark and leader epoch. Loading drops
// epochs that have no records yet.
func becomeLeader(t *testing.T, m *Manager, golden map[string]string) {
	for l := range m.Logs() {
		l.SetHighWatermark(l.LogEndOffset())
		list, err := parseEpochs([]byte(golden[filepath.Join(l.tp.String(), epochFile)]))
		check(t, err)
		if n := len(list); n > 0 && list[n-1].StartOffset >= l.LogEndOffset() {
			check(t, l.AssignEpochStart(list[n-1].Epoch, l.LogEndOffset()))
		}
	}
}

func compareTrees(t *testing.T, want, got map[string]string) {
	t.Helper()
	delete(got, lockFile)
	delete(got, bootFile)
	for name, w := range want {
		g, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s is gone", name)
		case g == w:
		case strings.HasSuffix(name, "-checkpoint") && sameParts(strings.SplitAfter(g, "\n"), strings.SplitAfter(w, "\n")):
		case strings.HasSuffix(name, snapshotSuffix) && sameSnapshot(t, g, w):
		default:
			t.Errorf("%s differs: %d bytes, want %d", name, len(g), len(w))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is new", name)
		}
	}
}

// sameParts compares without order: Kafka writes maps as they come.
func sameParts(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func sameSnapshot(t *testing.T, a, b string) bool {
	parts := func(s string) (list []string) {
		_, err := decodeSnapshot([]byte(s))
		check(t, err)
		for s = s[snapshotHeaderSize:]; len(s) > 0; s = s[snapshotEntrySize:] {
			list = append(list, s[:snapshotEntrySize])
		}
		return list
	}
	return sameParts(parts(a), parts(b))
}

// consumed is a record as a client of Kafka read it.
type consumed struct {
	Offset      int64   `json:"offset"`
	Timestamp   int64   `json:"timestamp"`
	LeaderEpoch *int32  `json:"leader_epoch"`
	Key, Value  *string // base64
}

func (c consumed) String() string {
	s := func(p *string) string {
		if p == nil {
			return "null"
		}
		return *p
	}
	epoch := record.NoLeaderEpoch
	if c.LeaderEpoch != nil {
		epoch = *c.LeaderEpoch
	}
	return fmt.Sprintf("%d at %d epoch %d: %s=%s", c.Offset, c.Timestamp, epoch, s(c.Key), s(c.Value))
}

// TestGoldenReads reads every partition, whole and without aborted data, and asks for offsets by time.
func TestGoldenReads(t *testing.T) {
	for _, kind := range []struct{ dir, archive string }{{"clean", "clean"}, {"crash", "recovered"}} {
		answers := filepath.Join(untar(t, kind.archive+".consumed.tar.gz"), kind.archive+".consumed")
		logs := map[string]*Log{}
		for _, broker := range []string{"2", "1"} { // most are on 1 only, those on both are the same
			dir := filepath.Join(untar(t, kind.dir+".tar.gz"), kind.dir, broker)
			m := openTestManager(t, goldenOptions(dir))
			for l := range m.Logs() {
				if old := logs[l.tp.String()]; old != nil && old.LogEndOffset() > l.LogEndOffset() {
					continue
				}
				l.SetHighWatermark(l.LogEndOffset())
				logs[l.tp.String()] = l
			}
		}
		checkReads(t, answers, logs)
	}
}

// checkReads compares what logs hold with what Kafka's clients were given.
func checkReads(t *testing.T, answers string, logs map[string]*Log) {
	files, err := filepath.Glob(filepath.Join(answers, "*.read_*.jsonl.gz"))
	check(t, err)
	if len(files) < 10 {
		t.Fatal("no golden answers")
	}
	for _, file := range files {
		name, isolation, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".jsonl.gz"), ".")
		var want []string
		eachJSON(t, file, func(c consumed) { want = append(want, c.String()) })
		for _, size := range []int{100, 1000, 1 << 20} {
			got := readRecords(t, logs[name], size, isolation == "read_committed")
			if !slices.Equal(got, want) {
				t.Errorf("%s %s by %d: %d records, want %d", name, isolation, size, len(got), len(want))
			}
		}
	}
	checkListOffsets(t, filepath.Join(answers, "list-offsets.jsonl.gz"), logs)
}

// TestGoldenOldFormats opens logs of message formats 0 and 1, reads them, and makes all their indexes anew.
func TestGoldenOldFormats(t *testing.T) {
	root := untar(t, "old-formats.tar.gz")
	dir := filepath.Join(root, "before")
	before := tree(t, dir)
	m, err := OpenManager(context.Background(), goldenOptions(dir))
	check(t, err)
	becomeLeader(t, m, before)
	logs := map[string]*Log{}
	for l := range m.Logs() {
		logs[l.tp.String()] = l
	}
	checkReads(t, filepath.Join(root, "consumed"), logs)
	check(t, m.Close())
	compareTrees(t, before, tree(t, dir))

	check(t, os.Remove(filepath.Join(dir, cleanShutdownFile)))
	check(t, os.Remove(filepath.Join(dir, recoveryPointFile)))
	m, err = OpenManager(context.Background(), goldenOptions(dir))
	check(t, err)
	becomeLeader(t, m, before)
	check(t, m.Close())
	after := tree(t, dir)
	for name, want := range before {
		switch _, suffix, _ := parseFileName(filepath.Base(name)); suffix {
		case logSuffix, indexSuffix, timeIndexSuffix:
			if after[name] != want && !strings.HasPrefix(name, "rf2-") { // that one was written by several processes
				t.Errorf("%s differs after recovery: %d bytes, want %d", name, len(after[name]), len(want))
			}
		}
	}
}

func eachJSON[T any](t *testing.T, path string, f func(T)) {
	file, err := os.Open(path)
	check(t, err)
	defer file.Close()
	z, err := gzip.NewReader(file)
	check(t, err)
	for d := json.NewDecoder(z); ; {
		var v T
		err := d.Decode(&v)
		if err == io.EOF {
			return
		}
		check(t, err)
		f(v)
	}
}

// readRecords reads a log as a consumer does: data at or after the position asked for, without control records, and
// without aborted data if committed.
func readRecords(t *testing.T, l *Log, maxBytes int, committed bool) (got []string) {
	t.Helper()
	encode := func(b []byte) *string {
		if b == nil {
			return nil
		}
		s := base64.StdEncoding.EncodeToString(b)
		return &s
	}
	upTo := l.HighWatermark()
	if committed {
		upTo = l.LastStableOffset()
	}
	for next := l.LogStartOffset(); next < upTo; {
		r, err := l.Read(next, maxBytes, upTo, true)
		check(t, err)
		if r.Slice.Len == 0 {
			return got // all the rest was compacted away
		}
		buf := make([]byte, r.Slice.Len)
		_, err = r.Slice.ReadAt(buf, 0)
		check(t, err)
		aborted, err := l.AbortedTxnsIn(next, r)
		check(t, err)
		r.Slice.Release()
		dropping := map[int64]bool{}
		at := next
		for b, err := range record.Batches(buf) {
			if err == record.ErrTruncated {
				break
			}
			check(t, err)
			if b.LastOffset() < next {
				t.Fatalf("%s: batch %d..%d when asked for %d", l.tp, b.BaseOffset(), b.LastOffset(), next)
			}
			at = b.NextOffset()
			for _, a := range aborted {
				if a.FirstOffset <= b.LastOffset() && a.ProducerID == b.ProducerID() {
					dropping[a.ProducerID] = true
				}
			}
			aborted = slices.DeleteFunc(aborted, func(a AbortedTxn) bool {
				return a.FirstOffset <= b.LastOffset() && a.ProducerID == b.ProducerID()
			})
			if b.IsControl() {
				if m, ok, err := b.EndTxn(); err == nil && ok && m.Type == record.ControlAbort {
					delete(dropping, b.ProducerID())
				}
				continue
			}
			if committed && b.IsTransactional() && dropping[b.ProducerID()] {
				continue
			}
			for rec, err := range b.Records(nil) {
				check(t, err)
				if rec.Offset < next {
					continue
				}
				epoch := b.PartitionLeaderEpoch()
				got = append(got, consumed{rec.Offset, rec.Timestamp, &epoch, encode(rec.Key), encode(rec.Value)}.String())
			}
		}
		if at == next {
			t.Fatalf("%s: nothing at %d with %d bytes", l.tp, next, maxBytes)
		}
		next = at
	}
	return got
}

// listed is an answer to ListOffsets.
type listed struct {
	Offset      int64 `json:"offset"`
	Timestamp   int64 `json:"timestamp"`
	LeaderEpoch int32 `json:"leader_epoch"`
}

func checkListOffsets(t *testing.T, file string, logs map[string]*Log) {
	eachJSON(t, file, func(raw map[string]json.RawMessage) {
		var tp meta.TopicPartition
		check(t, json.Unmarshal(raw["topic"], &tp.Topic))
		check(t, json.Unmarshal(raw["partition"], &tp.Partition))
		l := logs[tp.String()]
		for key, value := range raw {
			want := listed{-1, -1, -1}
			if bytes.HasPrefix(value, []byte("{")) {
				check(t, json.Unmarshal(value, &want))
			}
			got := listed{-1, -1, -1}
			set := func(at TimestampOffset, ok bool, err error) {
				check(t, err)
				if ok {
					got = listed{at.Offset, at.Timestamp, int32(at.LeaderEpoch)}
				}
			}
			switch {
			case key == "earliest":
				got.Offset = l.LogStartOffset()
				want.LeaderEpoch = -1
			case key == "latest":
				got.Offset = l.LogEndOffset()
				want.LeaderEpoch = -1 // the broker had become leader again
			case key == "latest read_committed":
				got.Offset = l.LastStableOffset()
				want.LeaderEpoch = -1
			case key == "max_timestamp":
				set(l.MaxTimestampOffset())
			case strings.HasPrefix(key, "timestamp "):
				ts, err := strconv.ParseInt(key[len("timestamp "):], 10, 64)
				check(t, err)
				set(l.OffsetForTimestamp(ts))
			default:
				continue
			}
			if want.Offset == -1 {
				want = listed{-1, -1, -1}
			}
			if got != want {
				t.Errorf("%s %s: %+v, want %+v", tp, key, got, want)
			}
		}
	})
}

// TestGoldenIndexes makes the indexes of sealed segments anew by appending their batches, one append each, and compares.
func TestGoldenIndexes(t *testing.T) {
	dir := filepath.Join(untar(t, "clean.tar.gz"), "clean", "1")
	want := tree(t, dir)
	for _, topic := range []string{"segments", "segments-replicated", "retention", "idempotent"} {
		c := *goldenConfig(topic)
		c.SegmentMs = math.MaxInt64
		o := goldenOptions(filepath.Join(t.TempDir(), "logs"))
		o.TopicConfig = func(string) *LogConfig { return &c }
		m := openTestManager(t, o)
		tp := meta.TopicPartition{Topic: topic}
		l, err := m.GetOrCreate(tp, CreateOptions{})
		check(t, err)
		var names []string
		for name := range want {
			if strings.HasPrefix(name, tp.String()+"/") && strings.HasSuffix(name, logSuffix) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		base, _, _ := parseFileName(filepath.Base(names[0]))
		check(t, l.TruncateFullyAndStartAt(base))
		for _, name := range names {
			for b, err := range record.Batches([]byte(want[name])) {
				check(t, err)
				_, err = l.AppendAsFollower(b)
				check(t, err)
			}
		}
		check(t, m.Close())
		got := tree(t, o.Dirs[0])
		for name, w := range want {
			if !strings.HasPrefix(name, tp.String()+"/") || strings.HasSuffix(name, snapshotSuffix) {
				continue
			}
			switch filepath.Base(name) {
			case epochFile, partitionMetadataFile:
				continue
			}
			if got[name] != w {
				t.Errorf("%s differs: %d bytes, want %d", name, len(got[name]), len(w))
			}
		}
	}
}
