package broker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// TestApacheLogDirectory starts a broker on what an Apache Kafka 3.9.1 broker has left in its log directory and in ZooKeeper, after
// a clean stop, after kill -9 and some damage, and with logs of message formats 0 and 1. A consumer has to read what a consumer
// of Apache's has read.
func TestApacheLogDirectory(t *testing.T) {
	t.Parallel()
	for _, l := range []struct{ name, archive, dir, answers, read string }{
		{"stopped", "clean", "clean/1", "clean.consumed", "clean.consumed"},
		{"killed", "crash", "crash/1", "recovered.consumed", "recovered.consumed"},
		{"old formats", "old-formats", "before", "old-formats", "consumed"},
	} {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			root := untarLogs(t, l.archive)
			read := filepath.Join(root, l.read)
			if l.answers != l.archive {
				read = filepath.Join(untarLogs(t, l.answers), l.read)
			}
			node := serveApaches(t, filepath.Join(root, l.dir))
			checkConsumed(t, node.Addr(), read)
		})
	}
}

// serveApaches runs a broker on log directories of Apache's, beside the znodes that belong to them. The internal topics are left out:
// what becomes of their transactions is another matter.
func serveApaches(t *testing.T, dir string) *brokertest.Node {
	t.Helper()
	internal, _ := filepath.Glob(filepath.Join(dir, "__*"))
	for _, d := range internal {
		if err := os.RemoveAll(d); err != nil {
			t.Fatal(err)
		}
	}
	zk := zktest.Start(t)
	znodes := brokertest.OpenZnodes(t, zk.Addr())
	znodes.Create("/cluster/id", fmt.Sprintf(`{"version":"1","id":"%s"}`, valueIn(t, filepath.Join(dir, "meta.properties"), "cluster.id=")))
	logs, _ := filepath.Glob(filepath.Join(dir, "*-*", "partition.metadata"))
	topics := map[string][]string{}
	ids := map[string]string{}
	for _, file := range logs {
		name := filepath.Base(filepath.Dir(file))
		dash := strings.LastIndexByte(name, '-')
		topic := name[:dash]
		topics[topic] = append(topics[topic], name[dash+1:])
		ids[topic] = valueIn(t, file, "topic_id: ")
	}
	if len(topics) < 10 {
		t.Fatalf("%d topics in %s", len(topics), dir)
	}
	for topic, partitions := range topics {
		var assigned []string
		for _, p := range partitions {
			assigned = append(assigned, `"`+p+`":[1]`)
		}
		path := "/brokers/topics/" + topic
		znodes.Create(path, fmt.Sprintf(`{"partitions":{%s},"topic_id":"%s","adding_replicas":{},"removing_replicas":{},"version":3}`,
			strings.Join(assigned, ","), ids[topic]))
		for _, p := range partitions {
			znodes.Create(path+"/partitions/"+p+"/state", `{"controller_epoch":1,"leader":1,"version":1,"leader_epoch":20,"isr":[1]}`)
		}
	}
	return brokertest.Start(t, zk.Addr(), map[string]string{"log.dirs": dir, "log.retention.ms": "-1"})
}

// valueIn returns what follows a key on its line of a file.
func valueIn(t *testing.T, file, key string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, found := strings.CutPrefix(line, key); found {
			return strings.TrimSpace(v)
		}
	}
	t.Fatalf("no %s in %s", key, file)
	return ""
}

// oldLZ4 are partitions with LZ4 in message format 0, whose frames have a checksum of Kafka's own making (KAFKA-3160) that
// franz-go does not know.
var oldLZ4 = []string{"mixed-0", "v0-lz4-0"}

// checkConsumed reads partitions to their ends with a consumer and compares with what Apache's was given.
func checkConsumed(t *testing.T, addr, answers string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(answers, "*.read_*.jsonl.gz"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d answers in %s: %v", len(files), answers, err)
	}
	for _, file := range files {
		name, isolation, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".jsonl.gz"), ".")
		if strings.HasPrefix(name, "__") || slices.Contains(oldLZ4, name) {
			continue
		}
		want := goldenConsumed(t, file)
		got := readToEnd(t, addr, name, isolation == "read_committed")
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: %d records, want %d", name, isolation, len(got), len(want))
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Errorf("got  %s\nwant %s", got[i], want[i])
					break
				}
			}
		}
	}
}

// goldenRecord is a record as Apache's consumer showed it.
type goldenRecord struct {
	Offset      int64        `json:"offset"`
	Timestamp   int64        `json:"timestamp"`
	Type        string       `json:"timestamp_type"`
	LeaderEpoch *int32       `json:"leader_epoch"`
	Key         *string      `json:"key"`
	Value       *string      `json:"value"`
	Headers     [][2]*string `json:"headers"`
}

func (r goldenRecord) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

func goldenConsumed(t *testing.T, file string) (records []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(z); ; {
		var r goldenRecord
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if r.Type == "NoTimestampType" { // which franz-go has no word for
			r.Type = "CreateTime"
		}
		records = append(records, r.String())
	}
}

// readToEnd reads a partition up to its end, or the end of what is committed.
func readToEnd(t *testing.T, addr, name string, committed bool) (records []string) {
	t.Helper()
	dash := strings.LastIndexByte(name, '-')
	topic := name[:dash]
	n, err := strconv.ParseInt(name[dash+1:], 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	partition := int32(n)
	level := kgo.ReadUncommitted()
	if committed {
		level = kgo.ReadCommitted()
	}
	c := client(t, addr, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}),
		kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(3000))
	defer c.Close()
	admin := kadm.NewClient(c)
	list := admin.ListEndOffsets
	if committed {
		list = admin.ListCommittedOffsets
	}
	ends, err := list(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	starts, err := admin.ListStartOffsets(within(t), topic)
	if err != nil {
		t.Fatal(err)
	}
	start, _ := starts.Lookup(topic, partition)
	end, _ := ends.Lookup(topic, partition)
	if start.Err != nil || end.Err != nil {
		t.Fatalf("%s: %v, %v", name, start.Err, end.Err)
	}
	ctx := within(t)
	for next := start.Offset; next < end.Offset; {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%s at %d of %d: %v", name, next, end.Offset, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			if !r.Attrs.IsControl() {
				records = append(records, consumedRecord(r).String())
			}
		})
	}
	return records
}

func consumedRecord(r *kgo.Record) goldenRecord {
	text := func(b []byte) *string {
		if b == nil {
			return nil
		}
		s := base64.StdEncoding.EncodeToString(b)
		return &s
	}
	g := goldenRecord{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Type: "CreateTime", Key: text(r.Key), Value: text(r.Value), Headers: [][2]*string{}}
	if r.Timestamp.IsZero() { // format 0 has none
		g.Timestamp = -1
	}
	if r.Attrs.TimestampType() == 1 {
		g.Type = "LogAppendTime"
	}
	if r.LeaderEpoch >= 0 {
		g.LeaderEpoch = &r.LeaderEpoch
	}
	for _, h := range r.Headers {
		key := h.Key
		g.Headers = append(g.Headers, [2]*string{&key, text(h.Value)})
	}
	return g
}

// untarLogs unpacks one of storage's archives.
func untarLogs(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("storage", "testdata", name+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o755)
		} else if b, err = io.ReadAll(r); err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
