package transport

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// BenchmarkProduce sends frames of 100 kB, some ahead, to a handler that only answers: what taking records in costs
// before anybody looks at them.
func BenchmarkProduce(b *testing.B) {
	for _, mode := range []string{"at once", "waited for"} {
		b.Run(mode, func(b *testing.B) {
			s := serve(b, handler(func(_ context.Context, r *Request) Reply {
				resp := kmsg.NewPtrProduceResponse()
				resp.SetVersion(r.Header.Version)
				resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "topic", Partitions: []kmsg.ProduceResponseTopicPartition{{Partition: 1, LogAppendTime: -1}}}}
				reply := Reply{Body: resp}
				if mode == "waited for" {
					return Reply{Wait: func(context.Context) Reply { return reply }}
				}
				return reply
			}), nil)
			c := s.dial("PLAINTEXT")
			frame := wire.AppendRequest(nil, produce(make([]byte, 100_000), 1), 1, "bench")
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			wg.Go(func() {
				for range b.N {
					if _, err := c.Write(frame); err != nil {
						b.Error(err)
						return
					}
				}
			})
			answers := make([]byte, 4096)
			for left := b.N * answerSize(b); left > 0; {
				n, err := c.Read(answers)
				if err != nil {
					b.Fatal(err)
				}
				left -= n
			}
			wg.Wait()
		})
	}
}

func answerSize(b *testing.B) int {
	resp := kmsg.NewPtrProduceResponse()
	resp.SetVersion(9)
	resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "topic", Partitions: []kmsg.ProduceResponseTopicPartition{{Partition: 1, LogAppendTime: -1}}}}
	return len(wire.AppendResponse(nil, resp, 1))
}

// BenchmarkFetch answers fetches with 10 sections of 100 kB out of a file.
func BenchmarkFetch(b *testing.B) {
	file, _ := randomFile(b, 1<<20)
	var released atomic.Int32
	for _, mode := range []string{"sendfile", "copied"} {
		b.Run(mode, func(b *testing.B) {
			var sections []wire.Section
			for i := range 10 {
				var section wire.Section = slice{file, int64(i) * 100_000, 100_000, &released}
				if mode == "copied" {
					section = unsendable{section.(slice)}
				}
				sections = append(sections, section)
			}
			s := serve(b, handler(func(_ context.Context, r *Request) Reply { return Reply{Body: fetchOf(sections...)} }), nil)
			c := s.dial("PLAINTEXT")
			request := wire.AppendRequest(nil, fetchRequest(11), 1, "bench")
			size := len(wire.AppendResponse(nil, fetchOf(sections...), 1))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			wg.Go(func() {
				for range b.N {
					if _, err := c.Write(request); err != nil {
						b.Error(err)
						return
					}
				}
			})
			if err := discard(c.Conn, int64(b.N)*int64(size)); err != nil {
				b.Fatal(err)
			}
			wg.Wait()
		})
	}
}

type unsendable struct{ slice }

func (unsendable) File() (syscall.Conn, int64) { return nil, 0 }

func discard(conn net.Conn, n int64) error {
	buf := make([]byte, 256<<10)
	for n > 0 {
		m, err := conn.Read(buf)
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// BenchmarkRoundTrip is one small request after another.
func BenchmarkRoundTrip(b *testing.B) {
	s := serve(b, handler(plain), nil)
	c := s.dial("PLAINTEXT")
	request := wire.AppendRequest(nil, heartbeat(0), 1, "bench")
	answer := make([]byte, 10)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if _, err := io.ReadFull(c, answer); err != nil {
			b.Fatal(err)
		}
	}
}
