package coord

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// shard is one led partition: its machine and the goroutine that owns it.
type shard[M Machine] struct {
	core
	env     *Env
	machine M
	log     *zap.Logger
	cancel  context.CancelFunc
	loaded  atomic.Bool
	gone    chan struct{} // closed by run when no event will run any more
}

func newShard[M Machine](r *Runtime[M], partition int32, epoch meta.LeaderEpoch) *shard[M] {
	tp := meta.TopicPartition{Topic: r.o.Topic, Partition: partition}
	s := &shard[M]{gone: make(chan struct{}), log: r.o.Logger.With(zap.String("topic", tp.Topic), zap.Int32("partition", partition))}
	s.core.tp, s.core.journal = tp, r.o.Journal
	s.core.maxBatch, s.core.timeout = r.o.MaxBatchBytes, r.o.AppendTimeout
	s.core.mail.init()
	s.core.waits.init()
	s.raised.Store(int32(epoch))
	s.env = &Env{Partition: partition, LeaderEpoch: epoch, core: &s.core}
	s.machine = r.o.New(s.env)
	return s
}

// run is the life of a shard: it loads, runs events, and ends with ctx.
func (s *shard[M]) run(ctx context.Context, loads chan struct{}, bufferSize int) {
	waited := make(chan struct{}) // closed when the awaiter has ended
	go func() {
		defer close(waited)
		s.waits.run(ctx, &s.core, s.complete)
	}()
	began := time.Now()
	if s.load(ctx, loads, bufferSize) {
		s.machine.Loaded()
		s.flush()
		s.log.Info("coordinating", zap.Int32("leader_epoch", int32(s.env.LeaderEpoch)), zap.Int64("offset", s.loadedTo), zap.Duration("took", time.Since(began)))
		s.loaded.Store(true)
		s.serve(ctx)
	}
	s.loaded.Store(false)
	s.mail.close()
	close(s.gone)
	<-waited
	s.unload()
}

// serve runs events, turn by turn, until ctx ends.
func (s *shard[M]) serve(ctx context.Context) {
	var turn []func()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.mail.wake:
		}
		for turn = s.mail.take(turn); len(turn) > 0; turn = s.mail.take(turn) {
			for _, event := range turn {
				if ctx.Err() != nil {
					return
				}
				event()
			}
			s.flush()
		}
	}
}

// unload ends the machine.
func (s *shard[M]) unload() {
	s.ended = true
	gathered := s.gathered.parts
	for _, e := range s.pending {
		for _, p := range e.parts {
			p.done(NoPosition, ErrNotCoordinator)
		}
	}
	for _, p := range gathered {
		p.done(NoPosition, ErrNotCoordinator)
	}
	s.pending, s.gathered, s.markers = nil, gathering{}, nil
	s.machine.Unloaded()
	s.log.Info("no longer coordinating", zap.Int32("leader_epoch", int32(s.env.LeaderEpoch)))
}

// complete runs the callbacks of an append, and lets markers go that waited for it.
func (s *shard[M]) complete(e *entry) {
	s.completed(e)
	for len(s.markers) > 0 && !s.held(s.markers[0].at) {
		m := s.markers[0]
		s.markers = s.markers[1:]
		s.machine.ReplayMarker(m.id, m.epoch, m.committed)
	}
}

// marked takes up a marker that is on the replicas.
func (s *shard[M]) marked(m marker) {
	switch {
	case m.at < s.loadedTo: // was replayed
	case len(s.markers) > 0 || s.held(m.at):
		s.markers = append(s.markers, m)
	default:
		s.machine.ReplayMarker(m.id, m.epoch, m.committed)
	}
}

// raise takes the leadership into the next epoch.
func (s *shard[M]) raise(epoch meta.LeaderEpoch) {
	s.raised.Store(int32(epoch))
	s.mail.put(func() {
		s.env.LeaderEpoch = epoch
		if f, ok := any(s.machine).(EpochFollower); ok {
			f.EpochRaised()
		}
	})
}
