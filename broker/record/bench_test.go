package record

import (
	"fmt"
	"testing"
)

// batchOf fills a batch of about 100 kB with records of the given value size.
func batchOf(t testing.TB, codec Codec, valueSize int) Batch {
	b := NewBuilder(BuilderOptions{PartitionLeaderEpoch: NoLeaderEpoch, Codec: codec})
	noise := randomBytes(200_000)
	for i := 0; b.Size() < 100_000; i++ {
		at := i * 37 % 100_000
		b.Append(goldenTime+int64(i/10), []byte(fmt.Sprintf("key-%06d", i)), noise[at:at+valueSize])
	}
	batch, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func BenchmarkValidate(b *testing.B) {
	for _, size := range []int{100, 1000} {
		for _, codec := range []Codec{None, Lz4} {
			b.Run(fmt.Sprintf("%s-%dB", codec, size), func(b *testing.B) {
				batch := batchOf(b, codec, size)
				o := DefaultValidateOptions(goldenTime)
				b.SetBytes(int64(len(batch)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Validate(batch, o); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, size := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			batch := batchOf(b, None, size)
			b.SetBytes(int64(len(batch)))
			for b.Loop() {
				if _, ok := scan(batch[HeaderSize:], batch.Count(), batch.BaseTimestamp(), noBounds, false); !ok {
					b.Fatal("refused")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.Count()), "ns/record")
		})
	}
}

func BenchmarkCheckCRC(b *testing.B) {
	batch := batchOf(b, None, 1000)
	b.SetBytes(int64(len(batch)))
	for b.Loop() {
		if batch.CheckCRC() != nil {
			b.Fatal("crc")
		}
	}
}

func BenchmarkRecords(b *testing.B) {
	for _, codec := range allCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			batch := batchOf(b, codec, 100)
			dec := AcquireDecompressor()
			defer dec.Release()
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range batch.Records(dec) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkRebuild(b *testing.B) {
	for _, codec := range allCodecs {
		b.Run(codec.String(), func(b *testing.B) {
			from := Lz4
			if codec == Lz4 {
				from = None
			}
			batch := batchOf(b, from, 100)
			o := DefaultValidateOptions(goldenTime)
			o.TargetCodec = codec
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Validate(batch, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
