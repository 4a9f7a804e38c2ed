package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestKafkaDumpLog has Apache Kafka's own tool look at files written here. It runs where KRAAL_KAFKA_HOME names an
// installation.
func TestKafkaDumpLog(t *testing.T) {
	home := os.Getenv("KRAAL_KAFKA_HOME")
	if home == "" {
		t.Skip("KRAAL_KAFKA_HOME is not set: not checked with kafka-dump-log.sh")
	}
	c := DefaultLogConfig()
	c.SegmentBytes, c.MaxIndexBytes, c.IndexIntervalBytes = 12<<10, 4096, 200
	o := goldenOptions(filepath.Join(t.TempDir(), "logs"))
	o.TopicConfig = func(string) *LogConfig { return &c }
	m := openTestManager(t, o)
	tp := meta.TopicPartition{Topic: "written"}
	l, err := m.GetOrCreate(tp, CreateOptions{TopicID: meta.NewTopicID()})
	check(t, err)
	writeMixed(t, l, 400)
	if l.Segments() < 5 {
		t.Fatalf("only %d segments", l.Segments())
	}
	dump := func(args ...string) string {
		out, err := exec.Command(filepath.Join(home, "bin", "kafka-dump-log.sh"), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	list := func(suffixes ...string) string {
		var files []string
		entries, err := os.ReadDir(l.place.path())
		check(t, err)
		for _, e := range entries {
			if _, suffix, ok := parseFileName(e.Name()); ok {
				for _, s := range suffixes {
					if suffix == s {
						files = append(files, filepath.Join(l.place.path(), e.Name()))
					}
				}
			}
		}
		return strings.Join(files, ",")
	}
	check(t, m.Close())
	out := dump("--deep-iteration", "--files", list(logSuffix))
	if strings.Contains(out, "isvalid: false") || strings.Contains(out, "Found") || strings.Count(out, "\n") < 400 {
		t.Errorf("%s", out)
	}
	for _, mode := range []string{"--index-sanity-check", "--verify-index-only"} {
		out := dump(mode, "--files", list(indexSuffix, timeIndexSuffix))
		if strings.Contains(out, "Mismatches") || strings.Contains(out, "out of order") || strings.Contains(strings.ToLower(out), "corrupt") {
			t.Errorf("%s: %s", mode, out)
		}
	}
	if out := dump("--files", list(txnIndexSuffix, snapshotSuffix)); !strings.Contains(out, "producerId: 7") {
		t.Errorf("%s", out)
	}
}

// writeMixed appends batches of all kinds: codecs, plain, idempotent and transactional producers, aborts and commits.
func writeMixed(t testing.TB, l *Log, batches int) {
	rng := rand.New(rand.NewPCG(1, 2))
	sequence := map[int64]int32{}
	open := map[int64]bool{}
	for i := range batches {
		bo := record.BuilderOptions{Codec: record.Codec(rng.IntN(5))}
		opts := AppendOptions{LeaderEpoch: meta.LeaderEpoch(i / 50)}
		id := int64(5 + rng.IntN(6))
		n := 1 + rng.IntN(5)
		switch {
		case id >= 8 && open[id] && rng.IntN(3) == 0:
			marker := record.EndTxnMarker{Type: record.ControlType(rng.IntN(2)), CoordinatorEpoch: 3}
			buf, err := record.AppendEndTxn(nil, marker, id, 1, 1700000000000+int64(i))
			check(t, err)
			opts.FromCoordinator = true
			_, err = l.AppendAsLeader(buf, opts)
			check(t, err)
			open[id] = false
			continue
		case id >= 8:
			bo.Transactional = true
			open[id] = true
			fallthrough
		case id == 7:
			bo.Producer = &record.ProducerInfo{ID: id, Epoch: 1, BaseSequence: sequence[id]}
			sequence[id] += int32(n)
		}
		b := record.NewBuilder(bo)
		for j := range n {
			b.Append(1700000000000+int64(i*10+rng.IntN(100)), fmt.Appendf(nil, "key %d", rng.IntN(20)), fmt.Appendf(nil, "value %d %d %64d", i, j, rng.Uint64()))
		}
		batch, err := b.Build()
		check(t, err)
		_, err = l.AppendAsLeader(batch, opts)
		check(t, err)
	}
}
