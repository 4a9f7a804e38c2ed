package zkstore

import (
	"fmt"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// BenchmarkPartitionStates reads the states of 20,000 partitions, which is what a controller does when it takes over.
func BenchmarkPartitionStates(b *testing.B) {
	server := zktest.Start(b)
	z := open(b, server)
	ctx := b.Context()
	must(b, z.EnsurePersistentPaths(ctx))
	_, err := z.ClusterID(ctx)
	must(b, err)
	must(b, z.s.create(ctx, controllerEpochPath, []byte("1")))

	const topics, partitions = 200, 100
	states := map[meta.TopicPartition]meta.LeaderAndISR{}
	var tps []meta.TopicPartition
	for i := range topics {
		name := fmt.Sprintf("topic-%d", i)
		must(b, z.s.create(ctx, TopicPath(name), encodeTopic(meta.TopicAssignment{})))
		for p := range partitions {
			tp := meta.TopicPartition{Topic: name, Partition: int32(p)}
			tps = append(tps, tp)
			states[tp] = meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1, 2, 3}, ControllerEpoch: 1}
		}
	}
	if _, failed, err := z.CreatePartitionStates(ctx, ControllerFence(0), states); err != nil || len(failed) > 0 {
		b.Fatal(failed, err)
	}
	for _, inFlight := range []int{10, 64, 256, 1000} {
		b.Run(fmt.Sprint("inflight-", inFlight), func(b *testing.B) {
			z := openAt(b, fmt.Sprintf("%s%s", server.Addr(), z.s.chroot), func(o *Options) { o.MaxInFlight = inFlight })
			b.ReportAllocs()
			for b.Loop() {
				got, broken, err := z.PartitionStates(ctx, tps)
				if err != nil || len(broken) > 0 || len(got) != len(tps) {
					b.Fatal(len(got), broken, err)
				}
			}
		})
	}
}
