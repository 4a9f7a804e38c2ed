package zkstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// BenchmarkWriteOffsets commits offsets of partitions that exist: gathered, and one set a partition, as a broker without
// gathering would, as many at a time as a session allows. What it reports is partitions per second.
func BenchmarkWriteOffsets(b *testing.B) {
	const partitions, groups = 5000, 20
	z := open(b, zktest.Start(b))
	fence := offsetsTree(b, z)
	ctx := b.Context()
	all := make([]OffsetWrite, partitions)
	for i := range all {
		all[i] = OffsetWrite{Group: fmt.Sprintf("some-group-%d", i%groups), TopicPartition: on("orders", int32(i/groups))}
	}
	for part := 0; part < partitions; part += 250 {
		must(b, z.WriteOffsets(ctx, []Fence{fence}, all[part:part+250]))
	}
	for i := range all {
		all[i].Exists = true
	}
	for _, gathered := range []int{1, 10, 50, 100, 250} {
		inFlight := 2
		if gathered == 1 {
			inFlight = 64
		}
		b.Run(fmt.Sprintf("gathered=%d/inflight=%d", gathered, inFlight), func(b *testing.B) {
			z := openAt(b, z.s.o.Connect, func(o *Options) { o.MaxInFlight = inFlight })
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			err := z.s.pipeline(ctx, inFlight, func(_ context.Context, i int) error {
				writes := make([]OffsetWrite, gathered)
				for next.Add(1) <= int64(b.N) {
					n := int(next.Load()) * gathered
					for k := range writes {
						writes[k] = all[(n+k)%partitions]
						writes[k].Offset = 1_000_000_000 + int64(n)
					}
					if err := z.WriteOffsets(ctx, []Fence{fence}, writes); err != nil {
						return err
					}
				}
				return nil
			})
			must(b, err)
			b.ReportMetric(float64(b.N*gathered)/b.Elapsed().Seconds(), "partitions/s")
		})
	}
}
