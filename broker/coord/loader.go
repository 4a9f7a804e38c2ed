package coord

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Pauses between attempts to load. Kafka goes on with what it could read; here a group or transaction that is not known
// completely is not served.
const (
	firstLoadPause = 100 * time.Millisecond
	lastLoadPause  = 10 * time.Second
)

// load replays the log, when it is its turn, and says whether it succeeded. It fails when ctx ends.
func (s *shard[M]) load(ctx context.Context, turns chan struct{}, bufferSize int) bool {
	next := int64(-1)
	for pause := firstLoadPause; ; pause = min(2*pause, lastLoadPause) {
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		var err error
		next, err = s.replay(ctx, next, bufferSize)
		<-turns
		if err == nil {
			s.loadedTo = next
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		// In doubt whether it leads, a broker waits for news; else something is wrong with the log.
		level := zap.ErrorLevel
		if errors.Is(err, ErrNotCoordinator) {
			level = zap.InfoLevel
		}
		s.log.Log(level, "the partition could not be loaded, trying again", zap.Int64("offset", next), zap.Duration("after", pause), zap.Error(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// settle waits until all that was replayed is on all in-sync replicas, and says whether it is. It fails when ctx ends.
func (s *shard[M]) settle(ctx context.Context) bool {
	for pause := firstLoadPause; ; pause = min(2*pause, lastLoadPause) {
		err := s.journal.Await(ctx, s.tp, s.epoch(), s.loadedTo-1)
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		s.log.Info("what was loaded is not replicated yet", zap.Int64("offset", s.loadedTo), zap.Error(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// replay gives the machine what lies between from, or the log start if that is later, and the log end, and returns how far it got.
func (s *shard[M]) replay(ctx context.Context, from int64, bufferSize int) (next int64, err error) {
	dec := record.AcquireDecompressor()
	defer dec.Release()
	next = from
	for {
		start, end, err := s.journal.Bounds(s.tp, s.epoch())
		if err != nil {
			return next, err
		}
		next = max(next, start)
		if next >= end.Offset {
			return next, nil
		}
		batches, after, err := s.journal.Read(s.tp, s.epoch(), next, bufferSize)
		if err != nil {
			return next, err
		}
		if next, err = s.replayBatches(batches, next, dec); err != nil {
			return next, err
		}
		if next < after {
			next = after // compaction leaves gaps
		} else if len(batches) == 0 {
			return next, nil
		}
		if err := ctx.Err(); err != nil {
			return next, err
		}
	}
}

func (s *shard[M]) replayBatches(buf []byte, from int64, dec *record.Decompressor) (next int64, err error) {
	next = from
	for len(buf) > 0 {
		b, rest, err := record.Next(buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return next, nil
			}
			return next, fmt.Errorf("batch at %d: %w", next, err)
		}
		if err := s.replayBatch(b, next, dec); err != nil {
			return next, err
		}
		next, buf = max(next, b.NextOffset()), rest
	}
	return next, nil
}

func (s *shard[M]) replayBatch(b record.Batch, from int64, dec *record.Decompressor) error {
	if b.IsControl() {
		marker, ok, err := b.EndTxn()
		if err != nil {
			return fmt.Errorf("control batch at %d: %w", b.BaseOffset(), err)
		}
		if ok {
			s.machine.ReplayMarker(b.ProducerID(), b.ProducerEpoch(), marker.Type == record.ControlCommit)
		}
		return nil
	}
	epoch := meta.LeaderEpoch(b.PartitionLeaderEpoch())
	for rec, err := range b.Records(dec) {
		if err != nil {
			return fmt.Errorf("batch at %d: %w", b.BaseOffset(), err)
		}
		if rec.Offset < from {
			continue
		}
		s.machine.Replay(Record{Key: rec.Key, Value: rec.Value, Timestamp: rec.Timestamp}, Position{epoch, rec.Offset},
			b.ProducerID(), b.ProducerEpoch(), b.IsTransactional())
	}
	return nil
}
