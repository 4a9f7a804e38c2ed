//go:build interop

package interop

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// handedOver is what producers send: any bytes, no batch larger than a segment.
var handedOver = limits{small: true}

// TestHandOver hands one broker's id and log directory from kraal to Apache Kafka 3.9.1 and back, KRAAL_HANDOVERS times: with clean
// stops, then with kill -9, and so on. An idempotent producer for each codec lives through all of it and never stops sending, so
// that each program takes up the other's producer state. After each hand-over every record must be there, once, in order and
// unchanged, and Apache's kafka-dump-log must find every segment valid.
func TestHandOver(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv("KRAAL_HANDOVERS"))
	if err != nil {
		t.Skip("KRAAL_HANDOVERS does not say how often; see make handover")
	}
	jars := filepath.Join(os.Getenv("KRAAL_INTEROP_TOOLS"), "kafka-3.9.1")
	m := newMember(t, zktest.Start(t).Addr(), jars, 1, `offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`)
	m.start("kraal")
	e := &environment{bootstrap: m.addr}
	streams, topics := startStreams(t, e)
	last := startCompacted(t, e)
	topics = append(topics, compactedTopic)
	all := []string{"*/*.log", "*/*.index", "*/*.timeindex", "*/*.snapshot"}
	readers := []client{franz(), saramaClient()}
	left := 0
	for hand := range 2 * rounds {
		from, to := "kraal", "apache"
		if hand%2 == 1 {
			from, to = to, from
		}
		how, end := "stopped", m.stop
		if hand/2%2 == 1 {
			how, end = "killed", m.kill
		}
		last.write()
		streams.resume()
		streams.await(500, "before "+from+" is "+how)
		end()
		if how == "stopped" {
			dump(t, jars, m.data(), all...)
		}
		began := time.Now()
		m.start(to, topics...)
		took := time.Since(began)
		streams.resume()
		streams.await(500, "from "+to)
		streams.pause()
		records := 0
		reader := readers[hand/2%len(readers)]
		for _, s := range streams {
			records += s.check(t, e, reader)
		}
		if left = last.check(e); rounds > 1 && hand == 2*rounds-1 && left > last.next/2 {
			t.Errorf("%d of %d records are left where the log is compacted: nobody has", left, last.next)
		}
		batches := dump(t, jars, m.data(), "stream-*/*.log") // the compacted one's segments may be replaced while they are read
		for _, line := range m.complaints(how == "stopped") {
			t.Errorf("%s says: %s", to, line)
		}
		t.Logf("hand-over %d: %s %s, %s serves after %v; %d records read back with %s, %d batches valid; %d of %d left where the log is compacted",
			hand+1, from, how, to, took.Round(100*time.Millisecond), records, reader.name, batches, left, last.next)
	}
	m.stop()
	dump(t, jars, m.data(), all...)
}

// stream is a producer that sends a data set without end to a topic of its own.
type stream struct {
	t      *testing.T
	topic  string
	c      *kgo.Client
	next   int          // number of the next record; belongs to the sending goroutine while there is one
	acked  atomic.Int64 // records
	failed atomic.Bool
	since  int64 // of what was acknowledged when it was last resumed
	paused context.CancelFunc
	done   sync.WaitGroup
}

type streamSet []*stream

// startStreams makes a topic and a producer for each codec. They do not send yet.
func startStreams(t *testing.T, e *environment) (all streamSet, topics []string) {
	t.Helper()
	kinds := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	for _, codec := range codecs {
		s := &stream{t: t, topic: "stream-" + codec}
		var err error
		// One request in flight: a program that was killed knows of a producer's last batch, not of the five it knew.
		s.c, err = kgo.NewClient(kgo.SeedBrokers(e.bootstrap), kgo.DefaultProduceTopic(s.topic), kgo.ProducerBatchCompression(kinds[codec]),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(100_000), kgo.StopProducerOnDataLossDetected(),
			kgo.MaxProduceRequestsInflightPerBroker(1), kgo.MaxBufferedRecords(50), kgo.ProducerLinger(20*time.Millisecond), kgo.UnknownTopicRetries(-1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.c.Close)
		if _, err := kadm.NewClient(s.c).CreateTopic(t.Context(), partitions, 1, nil, s.topic); err != nil {
			t.Fatal(err)
		}
		all, topics = append(all, s), append(topics, s.topic)
	}
	return all, topics
}

// resume has each producer send, up to its limit from now.
func (all streamSet) resume() {
	for _, s := range all {
		if s.paused != nil {
			s.paused()
			s.done.Wait()
		}
		ctx, cancel := context.WithCancel(s.t.Context())
		s.paused, s.since = cancel, s.acked.Load()
		s.done.Go(func() { s.send(ctx) })
	}
}

// most is how many records a producer sends to one program, however long that takes to end.
const most = 5000

// send produces until ctx ends, and not too much. What was begun is finished.
func (s *stream) send(ctx context.Context) {
	for limit := s.next + most; ctx.Err() == nil && s.next < limit; s.next++ {
		r := generate(s.next, handedOver)
		k := &kgo.Record{Key: r.key, Value: r.value, Partition: int32(s.next % partitions)}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.key, Value: h.value})
		}
		s.c.Produce(s.t.Context(), k, func(_ *kgo.Record, err error) {
			switch {
			case err == nil:
				s.acked.Add(1)
			case s.t.Context().Err() == nil && !s.failed.Swap(true): // the first tells it all
				s.t.Errorf("%s: %v", s.topic, err)
			}
		})
	}
}

// await returns when each producer has got so many records acknowledged since it was resumed.
func (all streamSet) await(records int64, when string) {
	for _, s := range all {
		s.t.Helper()
		until := s.since + records
		testkit.Eventually(s.t, 2*time.Minute, s.topic+" makes progress "+when, func() bool { return s.t.Failed() || s.acked.Load() >= until })
	}
}

// pause returns when nothing is sent any more and all that was sent is acknowledged.
func (all streamSet) pause() {
	for _, s := range all {
		s.t.Helper()
		s.paused()
		s.done.Wait()
		ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
		if err := s.c.Flush(ctx); err != nil {
			s.t.Fatalf("%s: %v", s.topic, err)
		}
		cancel()
		if acked := s.acked.Load(); acked != int64(s.next) {
			s.t.Fatalf("%s: %d records acknowledged of %d", s.topic, acked, s.next)
		}
	}
}

// check reads the topic and compares it with what was sent.
func (s *stream) check(t *testing.T, e *environment, reader client) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ends, err := endOffsets(ctx, e, s.topic)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, end := range ends {
		sum += end
	}
	if sum != int64(s.next) {
		t.Errorf("%s ends at %v: %d records, %d were sent", s.topic, ends, sum, s.next)
	}
	got, err := reader.consume(ctx, e, s.topic, s.next)
	if err != nil {
		t.Fatalf("%s: %v", s.topic, err)
	}
	verify(t, got, s.next, handedOver)
	return len(got)
}

// dump has kafka-dump-log look at every batch, record and entry of the files, and returns the number of batches.
func dump(t *testing.T, jars, dir string, patterns ...string) int {
	t.Helper()
	var files []string
	for _, p := range patterns {
		found, err := fs.Glob(os.DirFS(dir), p)
		if err != nil || len(found) == 0 {
			t.Fatalf("no files %s in %s: %v", p, dir, err)
		}
		files = append(files, found...)
	}
	batches := 0
	for some := range slices.Chunk(files, 500) { // in one command line
		batches += dumpFiles(t, jars, dir, some)
	}
	if batches == 0 {
		t.Errorf("no batches in %d files", len(files))
	}
	return batches
}

func dumpFiles(t *testing.T, jars, dir string, files []string) (batches int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "java", "-Xmx512m", "-XX:+UseSerialGC", "-Dlog4j.rootLogger=OFF", "-cp", reload4jFirst(t, jars), "kafka.tools.DumpLogSegments",
		"--deep-iteration", "--files", strings.Join(files, ","))
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kafka-dump-log: %v\n%s\n%s", err, tail(out), tail(errs.Bytes()))
	}
	file := ""
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "Dumping ") && !strings.Contains(line, ": "):
			file = strings.TrimSpace(line)
		case strings.HasPrefix(line, "baseOffset: "):
			batches++
			if !strings.Contains(line, "isvalid: true") {
				t.Errorf("%s: %s", file, line)
			}
		case !harmless(line):
			t.Errorf("%s: %s", file, line)
		}
	}
	return batches
}

// harmless are the lines of kafka-dump-log for what is well.
func harmless(line string) bool {
	for _, start := range []string{"| offset: ", "Log starting offset: ", "Starting offset: ", "offset: ", "timestamp: ", "producerId: "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	line = strings.TrimSpace(line)
	return line == "" || strings.HasSuffix(line, "index is empty.")
}
