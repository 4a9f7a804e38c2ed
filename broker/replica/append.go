package replica

import (
	"context"
	"fmt"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AcksAll is the acks value of a producer that waits for all in-sync replicas.
const AcksAll int16 = -1

// AppendRequest is one partition's part of a produce.
type AppendRequest struct {
	Partition meta.TopicPartition
	// Records are the batches as they came; they are patched in place and belong to the manager until Append returns.
	Records []byte
	Acks    int16
	Origin  record.Origin
	// LegacyFormat allows message sets of magic 0 and 1, and several batches: produce requests below version 3.
	LegacyFormat bool
	// NoZstd refuses zstd: produce requests below version 7.
	NoZstd bool
	// Verified is the guard of a transactional append, see [storage.AppendOptions].
	Verified storage.VerificationGuard
	// Fenced refuses unless this broker leads, and has led without interruption since LeaderEpoch.
	Fenced      bool
	LeaderEpoch meta.LeaderEpoch
}

// Appended is what became of an append.
type Appended struct {
	storage.AppendInfo
	// Err is why nothing was appended. It may be a *record.InvalidRecordsError that names the records at fault.
	Err error
	// Converting is how long it took to write the records in the topic's format or codec, zero if that was not needed.
	Converting time.Duration
	// Stored says that validation had passed and the log's answer is in AppendInfo.LogStartOffset even though Err is set.
	Stored bool

	waits *Pending
}

// Pending returns what has to be waited for until all in-sync replicas hold the records; nil when there is nothing.
func (a *Appended) Pending() *Pending { return a.waits }

// Append writes records to the log of a partition this broker leads and moves the high watermark as far as it goes.
// It does not wait for followers; see [Manager.Await].
func (m *Manager) Append(r AppendRequest) Appended {
	p, err := m.partition(r.Partition)
	if err != nil {
		return failed(err)
	}
	a := p.append(r)
	m.TopicMetrics(r.Partition.Topic).countAppend(&r, &a)
	return a
}

func failed(err error) Appended {
	return Appended{AppendInfo: storage.AppendInfo{FirstOffset: -1, LastOffset: -1, LogAppendTime: -1, LogStartOffset: -1}, Err: err}
}

func (p *Partition) append(r AppendRequest) Appended {
	p.mu.RLock()
	log, err := p.leaderLogLocked()
	if err == nil && r.Fenced {
		log, err = p.inReignLocked(r.LeaderEpoch)
	}
	if err != nil {
		p.mu.RUnlock()
		return failed(err)
	}
	cfg := log.Config()
	if minISR := effectiveMinISR(int(cfg.MinInSyncReplicas), len(p.mu.replicas)); r.Acks == AcksAll && len(p.mu.isr) < minISR {
		isr := len(p.mu.isr)
		p.mu.RUnlock()
		return failed(fmt.Errorf("%s: ISR of %d is below min.insync.replicas=%d: %w", p.tp, isr, minISR, ErrNotEnoughReplicas))
	}
	epoch := p.mu.leaderEpoch
	a := p.appendLocked(log, cfg, r, epoch)
	if a.Err == nil && !a.Duplicate && a.Bytes > 0 {
		p.advanceLocked(p.m.clock())
	}
	if a.Err == nil && r.Acks == AcksAll && a.LastOffset >= 0 {
		a.waits = &Pending{p: p, reign: p.mu.reign, end: a.LastOffset + 1}
	}
	p.mu.RUnlock()
	if a.Err == nil {
		p.leoWaiters.reached(a.LEO)
		p.watchers.mark(true)
	}
	return a
}

// appendLocked validates and appends; mu is held for reading.
func (p *Partition) appendLocked(log *storage.Log, cfg *storage.LogConfig, r AppendRequest, epoch meta.LeaderEpoch) Appended {
	now := p.m.clock()
	v, err := record.Validate(r.Records, validateOptions(cfg, r, now))
	if err != nil {
		a := failed(fmt.Errorf("%s: %w", p.tp, err))
		a.Stored, a.LogStartOffset = true, log.LogStartOffset()
		return a
	}
	var converting time.Duration
	if v.Converted {
		converting = p.m.clock().Sub(now)
		p.m.TopicMetrics(p.tp.Topic).Count(ProduceConversions, v.Records)
	}
	if v.Batches == 0 {
		return Appended{AppendInfo: storage.AppendInfo{FirstOffset: -1, LastOffset: -1, LogAppendTime: -1,
			LogStartOffset: log.LogStartOffset(), LEO: log.LogEndOffset()}}
	}
	info, err := log.AppendAsLeader(v.Buf, storage.AppendOptions{
		LeaderEpoch:     epoch,
		FromCoordinator: r.Origin == record.OriginCoordinator,
		Verified:        r.Verified,
	})
	if err != nil {
		a := failed(fmt.Errorf("append to %s: %w", p.tp, err))
		a.Stored, a.LogStartOffset = true, log.LogStartOffset()
		return a
	}
	return Appended{AppendInfo: info, Converting: converting}
}

func validateOptions(cfg *storage.LogConfig, r AppendRequest, now time.Time) record.ValidateOptions {
	o := record.DefaultValidateOptions(now.UnixMilli())
	o.Origin = r.Origin
	o.Compacted = cfg.Compact
	if cfg.LogAppendTime {
		o.TimestampType = record.LogAppendTime
	}
	o.BeforeMax, o.AfterMax = cfg.TimestampBeforeMaxMs, cfg.TimestampAfterMaxMs
	o.TargetCodec, o.Level = targetCodec(cfg)
	o.MaxMessageBytes = int(cfg.MaxMessageBytes)
	o.SingleV2Batch = r.Origin == record.OriginClient && !r.LegacyFormat
	o.RefuseZstdSource = r.NoZstd
	return o
}

// targetCodec is what compression.type asks for. A name nobody knows, which validation keeps out, leaves batches as they came.
func targetCodec(cfg *storage.LogConfig) (record.Codec, int) {
	codec, err := record.ParseCodec(cfg.CompressionType)
	switch {
	case err != nil:
		return record.Producer, 0
	case codec == record.Gzip:
		return codec, int(cfg.GzipLevel)
	case codec == record.Lz4:
		return codec, int(cfg.Lz4Level)
	case codec == record.Zstd:
		return codec, int(cfg.ZstdLevel)
	}
	return codec, 0
}

// Pending is an append that is not acknowledged yet.
type Pending struct {
	p     *Partition
	reign meta.LeaderEpoch // void if the leader took over anew since
	end   int64            // the high watermark to wait for

	// Err is the outcome, once Await has returned.
	Err  error
	done bool
}

// Await returns when all pending appends are on every in-sync replica or have failed, or when ctx or the timeout ends
// (ErrTimedOut for those still open; the records stay where they are). Outcomes are in Pending.Err. Nil entries are skipped.
func (m *Manager) Await(ctx context.Context, timeout time.Duration, pending []*Pending) {
	open := 0
	for _, w := range pending {
		if w != nil && !w.settle() {
			open++
		}
	}
	if open == 0 {
		return
	}
	defer m.metrics.waits(waitingProduce)()
	wake := newWaiter()
	waits := make([]wait, len(pending))
	for i := range waits {
		waits[i].waiter = wake
	}
	defer func() {
		for i := range waits {
			waits[i].remove()
		}
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		open = 0
		for i, w := range pending {
			if w == nil || w.done {
				continue
			}
			w.p.hwWaiters.add(&waits[i], w.end) // also again: a wake-up takes it off the list
			if !w.settle() {
				open++
			}
		}
		if open == 0 {
			return
		}
		select {
		case <-wake.c:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		for _, w := range pending {
			if w != nil && !w.done && !w.settle() {
				w.done, w.Err = true, fmt.Errorf("%s: offset %d: %w", w.p.tp, w.end-1, ErrTimedOut)
			}
		}
		return
	}
}

// settle looks whether the outcome is known now.
func (w *Pending) settle() bool {
	w.p.mu.RLock()
	defer w.p.mu.RUnlock()
	log, err := w.p.leaderLogLocked()
	switch {
	case err != nil:
		w.done, w.Err = true, err
	case w.p.mu.reign != w.reign:
		w.done, w.Err = true, w.p.leaderErrorLocked(ErrNotLeader)
	case log.HighWatermark() >= w.end:
		w.done = true
		minISR := effectiveMinISR(int(log.Config().MinInSyncReplicas), len(w.p.mu.replicas))
		if n := len(w.p.mu.maximalISR()); n < minISR {
			w.Err = fmt.Errorf("%s: ISR of %d is below min.insync.replicas=%d: %w", w.p.tp, n, minISR, ErrNotEnoughReplicasAfterAppend)
		}
	}
	return w.done
}
