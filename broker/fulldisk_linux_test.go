package broker_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// smallDisk mounts a disk of a few MiB, or skips the test where that is not allowed.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("THE BROKER IS NOT TESTED ON A FULL DISK, because none can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestFullDisk fills the only disk of a broker. The broker lives, says so to producers, serves what it has, and goes on when
// there is room; killed and started again on the full disk it serves as well. Nothing acknowledged is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 16)
	proc := brokertest.StartProc(t, zktest.Start(t).Addr(), map[string]string{
		"log.dirs": filepath.Join(disk, "data"), "log.segment.bytes": "1048576", "zookeeper.session.timeout.ms": "2000",
		"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "100", "log.segment.delete.delay.ms": "100",
		"replica.high.watermark.checkpoint.interval.ms": "200", "log.flush.offset.checkpoint.interval.ms": "200",
		"log.index.size.max.bytes": "65536",
	})
	const topic = "full"
	c := client(t, proc.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	createTopic(t, c, topic, 3, nil)
	value := make([]byte, 100_000)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	acked := make([]int64, 3) // the next offset of each partition, as acknowledged
	produce := func(p int32) error {
		// Without retries, to see what is answered.
		impatient := client(t, proc.Addr(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()),
			kgo.RecordRetries(0), kgo.DisableIdempotentWrite(), kgo.MetadataMinAge(10*time.Millisecond))
		defer impatient.Close()
		for {
			r := &kgo.Record{Topic: topic, Partition: p, Value: append([]byte(fmt.Sprint(acked[p], " ")), value...)}
			if err := impatient.ProduceSync(within(t), r).FirstErr(); err != nil {
				return err
			}
			if r.Offset != acked[p] {
				t.Fatalf("partition %d: acknowledged at %d after %d", p, r.Offset, acked[p])
			}
			acked[p]++
		}
	}
	fill := func() {
		t.Helper()
		for p := range int32(3) {
			if err := produce(p); err != kerr.KafkaStorageError {
				t.Errorf("a full disk is answered with %v", err)
			}
		}
	}
	check := func(when string) {
		t.Helper()
		if !proc.Alive() {
			t.Fatalf("%s: the broker has ended", when)
		}
		from, err := kadm.NewClient(client(t, proc.Addr())).ListStartOffsets(within(t), topic)
		if err != nil || from.Error() != nil {
			t.Fatal(when, err, from.Error())
		}
		want := 0
		next := make([]int64, 3)
		from.Each(func(o kadm.ListedOffset) {
			next[o.Partition] = o.Offset
			want += int(acked[o.Partition] - o.Offset)
		})
		for _, r := range consume(t, proc.Addr(), topic, want) {
			if r.Offset != next[r.Partition] || !bytes.HasPrefix(r.Value, fmt.Append(nil, r.Offset, " ")) || !bytes.HasSuffix(r.Value, value) {
				t.Fatalf("%s: partition %d holds %.20q at %d, expected at %d", when, r.Partition, r.Value, r.Offset, next[r.Partition])
			}
			next[r.Partition]++
		}
	}
	// settled waits until retention, which keeps 2 MB and at most a segment more of each partition, has nothing left to do: what
	// it takes away while it is being read would be missed.
	settled := func() {
		t.Helper()
		admin := kadm.NewClient(client(t, proc.Addr()))
		eventually(t, "retention has done its work", func() bool {
			from, err := admin.ListStartOffsets(within(t), topic)
			done := err == nil && from.Error() == nil
			from.Each(func(o kadm.ListedOffset) {
				done = done && (acked[o.Partition]-o.Offset)*int64(len(value)) < 2_000_000+1_048_576
			})
			return done
		})
	}
	fill()
	check("full")
	// The checkpoints' turn comes several times while there is no room for them.
	time.Sleep(time.Second)
	check("full for a while")
	proc.Kill()
	if err := os.WriteFile(filepath.Join(disk, "filler"), bytes.Repeat([]byte{1}, 16<<20), 0o644); err == nil {
		t.Error("there was room left")
	}
	proc.Start()
	check("killed and started again without any room")

	before := acked[0]
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	alterTopic(t, kadm.NewClient(c), topic, kadm.AlterConfig{Name: "retention.bytes", Value: kadm.StringPtr("2000000")})
	eventually(t, "room by retention", func() bool {
		_ = produce(0)
		return acked[0] > before
	})
	settled()
	check("with room again")
	fill()
	settled()
	check("full again")
	eventually(t, "a clean stop", func() bool { proc.Stop(); return !proc.Alive() })
	proc.Start()
	check("stopped and started")
}
