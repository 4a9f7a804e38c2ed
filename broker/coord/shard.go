package coord

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

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
func (s *shard[M]) run(ctx context.Context, loads chan struct{}, bufferSize int, settled bool) {
	waited := make(chan struct{}) // closed when the awaiter has ended
	go func() {
		defer close(waited)
		s.waits.run(ctx, &s.core, s.complete)
	}()
	began := time.Now()
	if s.load(ctx, loads, bufferSize) && (!settled || s.settle(ctx)) {
		s.machine.Loaded()
		s.flush()
		s.log.Log(loadedLevel(time.Since(began)), "coordinating", zap.Int32("leader_epoch", int32(s.env.LeaderEpoch)), zap.Int64("offset", s.loadedTo), zap.Duration("took", time.Since(began)))
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
	pending, gathered := s.pending, s.gathered.parts
	s.pending, s.gathered = nil, gathering{}
	for _, e := range pending {
		for _, p := range e.parts {
			p.done(NoPosition, ErrNotCoordinator)
		}
	}
	for _, p := range gathered {
		p.done(NoPosition, ErrNotCoordinator)
	}
	s.machine.Unloaded()
	s.log.Debug("no longer coordinating", zap.Int32("leader_epoch", int32(s.env.LeaderEpoch)))
}

// slowLoad is a load that is worth a line: there are 50 partitions of each topic, and replica has told of their leaderships.
const slowLoad = time.Second

func loadedLevel(took time.Duration) zapcore.Level {
	if took < slowLoad {
		return zap.DebugLevel
	}
	return zap.InfoLevel
}

// complete runs the callbacks of an append, or takes up a marker.
func (s *shard[M]) complete(e *entry) {
	if e.marker == nil {
		s.completed(e)
		return
	}
	s.pending = s.pending[1:]
	if e.err != nil {
		// It is in the log, so that it is replicated sooner or later, or somebody else leads.
		s.env.After(markerRetry, func() { s.awaitMarker(e.marker) })
		return
	}
	s.apply(e.marker)
}

func (s *shard[M]) apply(m *marker) {
	if m.at >= s.loadedTo {
		s.machine.ReplayMarker(m.id, m.epoch, m.committed)
	}
	close(m.applied)
}

// marked takes up a marker that is in the log.
func (s *shard[M]) marked(m *marker) {
	if m.at < s.loadedTo {
		close(m.applied) // was replayed
		return
	}
	s.flush()
	s.awaitMarker(m)
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
