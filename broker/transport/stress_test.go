package transport

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// counted is a file section that keeps count of those not released.
type counted struct {
	slice
	open *atomic.Int64
}

func (c counted) File() (syscall.Conn, int64) { return c.slice.File() }
func (c counted) Release()                    { c.open.Add(-1) }

// TestStress lets clients of all manners come and go: they pipeline, stop reading, hang up in the middle of a request or an
// answer. Answers must come in order, every wait must be called once, and nothing may be held on to.
func TestStress(t *testing.T) {
	file, _ := randomFile(t, 1<<20)
	var sections, waits atomic.Int64
	s := serve(t, handler(func(ctx context.Context, r *Request) Reply {
		switch r.Body.(type) {
		case *kmsg.FetchRequest:
			var parts []wire.Section
			for i := range 3 {
				sections.Add(1)
				parts = append(parts, counted{slice{file: file, pos: int64(i), n: 10 + i*100_000}, &sections})
			}
			reply := Reply{Body: fetchOf(parts...)}
			if r.Header.CorrelationID%2 == 0 {
				waits.Add(1)
				return Reply{Wait: func(context.Context) Reply { waits.Add(-1); return reply }}
			}
			return reply
		case *kmsg.ProduceRequest:
			waits.Add(1)
			return Reply{Wait: func(ctx context.Context) Reply {
				waits.Add(-1)
				return Reply{Body: responseTo(r), Throttle: time.Duration(r.Header.CorrelationID%3) * time.Microsecond}
			}}
		}
		if r.Header.CorrelationID%7 == 0 { // a long poll that only a hang-up ends early
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
		return Reply{Body: responseTo(r)}
	}), func(o *Options) { o.Logger = nil; o.MaxIdle = time.Minute; o.SendBuffer = 32 << 10 })

	var wg sync.WaitGroup
	for seed := range uint64(6) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 77))
			for range 25 {
				s.visit(r)
			}
		})
	}
	wg.Wait()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := sections.Load(); n != 0 {
		t.Errorf("%d sections are not released", n)
	}
	if n := waits.Load(); n != 0 {
		t.Errorf("%d waits were not called", n)
	}
}

// visit is one client's connection.
func (s *testServer) visit(r *rand.Rand) {
	c := s.dial("PLAINTEXT")
	var requests []kmsg.Request
	var stream []byte
	for i := range 1 + r.IntN(12) {
		var req kmsg.Request
		switch r.IntN(3) {
		case 0:
			req = fetchRequest(11)
		case 1:
			req = produce(make([]byte, r.IntN(150_000)), -1)
		default:
			req = heartbeat(4)
		}
		requests = append(requests, req)
		stream = wire.AppendRequest(stream, req, int32(i), "stress")
	}
	rude := r.IntN(3) == 0
	if rude {
		stream = stream[:r.IntN(len(stream))]
	}
	pieces := r.Perm(9)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer c.Close()
	sending.Go(func() {
		for i := 0; len(stream) > 0; i++ {
			n := min(len(stream), 1+pieces[i%9]*10_000)
			if _, err := c.Write(stream[:n]); err != nil {
				return
			}
			stream = stream[n:]
		}
	})
	if rude {
		return
	}
	for i, req := range requests {
		c.expect(req, int32(i))
	}
}
