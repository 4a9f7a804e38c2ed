package zkstore

import (
	"fmt"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

const benchTopics, benchPartitions = 200, 100

// benchTree makes 20,000 partitions.
func benchTree(b *testing.B) (server *zktest.Server, z *Store, states map[meta.TopicPartition]meta.LeaderAndISR) {
	server = zktest.Start(b)
	z = open(b, server)
	ctx := b.Context()
	must(b, z.EnsurePersistentPaths(ctx))
	must(b, z.s.create(ctx, controllerEpochPath, []byte("1")))
	states = map[meta.TopicPartition]meta.LeaderAndISR{}
	for i := range benchTopics {
		name := fmt.Sprintf("topic-%d", i)
		must(b, z.s.create(ctx, TopicPath(name), encodeTopic(meta.TopicAssignment{})))
		for p := range int32(benchPartitions) {
			states[meta.TopicPartition{Topic: name, Partition: p}] = meta.LeaderAndISR{Leader: 1, ISR: []meta.BrokerID{1, 2, 3}, ControllerEpoch: 1}
		}
	}
	if _, failed, err := z.CreatePartitionStates(ctx, ControllerFence(0), states); err != nil || len(failed) > 0 {
		b.Fatal(failed, err)
	}
	return server, z, states
}

// BenchmarkPartitionStates reads the states of 20,000 partitions, which is what a controller does when it takes over:
// many to a request, and one by one as from servers before 3.6.
func BenchmarkPartitionStates(b *testing.B) {
	server, z, states := benchTree(b)
	tps := sortedPartitions(states)
	for _, single := range []bool{false, true} {
		for _, inFlight := range []int{10, defaultInFlight} {
			b.Run(fmt.Sprintf("single=%v/inflight=%d", single, inFlight), func(b *testing.B) {
				z := openAt(b, server.Addr()+z.s.chroot, func(o *Options) { o.MaxInFlight = inFlight })
				z.s.singleReads.Store(single)
				b.ReportAllocs()
				for b.Loop() {
					got, broken, err := z.PartitionStates(b.Context(), tps)
					if err != nil || len(broken) > 0 || len(got) != len(tps) {
						b.Fatal(len(got), broken, err)
					}
				}
			})
		}
	}
}

// BenchmarkUpdatePartitionStates writes new states of 20,000 partitions, as when a broker dies that led them.
func BenchmarkUpdatePartitionStates(b *testing.B) {
	_, z, states := benchTree(b)
	for b.Loop() {
		updated, failed, err := z.UpdatePartitionStates(b.Context(), ControllerFence(0), states)
		if err != nil || len(failed) > 0 {
			b.Fatal(failed, err)
		}
		for tp, epoch := range updated {
			s := states[tp]
			s.PartitionEpoch = epoch
			states[tp] = s
		}
	}
}
