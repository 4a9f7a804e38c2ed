package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

var (
	modelSeed = flag.Uint64("model.seed", 0, "run the model test with this seed only")
	modelRuns = flag.Int("model.runs", 60, "runs of the model test")
	modelOps  = flag.Int("model.ops", 300, "operations per run")
)

// TestModel runs random operations against a log and against a list of batches, through clean restarts, kills, power
// failures and I/O errors, and compares. A failure prints its seed.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		runModel(t, *modelSeed)
		return
	}
	runs := *modelRuns
	if testing.Short() {
		runs = 10
	}
	for seed := range uint64(runs) {
		runModel(t, seed+1)
		if t.Failed() {
			return
		}
	}
}

// modelBatch is a batch as it must be in the log.
type modelBatch struct {
	base, last int64
	bytes      []byte
}

// model is a log and what it should be.
type model struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	step int
	what []string

	mem    *vfs.Mem
	fail   func(op vfs.Op, name string) error
	config LogConfig
	m      *Manager
	l      *Log
	failed int  // calls of OnDirFailure
	full   bool // the disk is
	nowMs  int64

	batches    []modelBatch // all since the last start over, also those deleted from the start
	start, leo int64
	mostStart  int64 // largest start ever: producers are forgotten with what lies below
	hw         int64
	epoch      int32
	epochs     []EpochEntry
	sequence   map[int64]int32
	pepoch     map[int64]int16 // producer epochs; only grow
	open       map[int64]int64 // producer to first offset of its transaction
	lastBatch  map[int64]modelBatch
}

var modelTP = meta.TopicPartition{Topic: "t", Partition: 3}

func runModel(t *testing.T, seed uint64) {
	r := &model{t: t, seed: seed, pepoch: map[int64]int16{}, rng: rand.New(rand.NewPCG(seed, 7)), mem: vfs.NewMem(), nowMs: 1_700_000_000_000}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v", p)
		}
		if t.Failed() {
			t.Logf("seed %d, step %d; last operations:\n%s", seed, r.step, strings.Join(r.what[max(0, len(r.what)-25):], "\n"))
			if p := recover(); p != nil {
				panic(p)
			}
		}
		if r.m != nil {
			r.m.Close()
		}
	}()
	r.config = DefaultLogConfig()
	r.config.SegmentBytes = int32(1200 + r.rng.IntN(6000))
	r.config.IndexIntervalBytes = int32(r.rng.IntN(400))
	r.config.MaxIndexBytes = int32(60 + r.rng.IntN(2000))
	r.config.Preallocate = r.rng.IntN(4) == 0
	r.config.RetentionMs = -1
	if r.rng.IntN(3) == 0 {
		r.config.RetentionBytes = int64(r.rng.IntN(20000))
	}
	if r.rng.IntN(4) == 0 {
		r.config.FlushMessages = int64(1 + r.rng.IntN(5))
	}
	if r.rng.IntN(2) == 0 {
		r.config.SegmentMs = 3_000_000
	}
	r.reset(0)
	r.openManager(r.mem)
	r.l.SetHighWatermark(0)
	type op struct {
		weight int
		do     func()
	}
	ops := []op{
		{30, r.appendLeader}, {10, r.appendFollower}, {12, r.appendIdempotent}, {12, r.appendTxn}, {6, r.endTxn},
		{20, r.read}, {6, r.truncate}, {1, r.startOver}, {12, r.setHW}, {4, r.advanceStart}, {4, r.retain},
		{3, r.flush}, {5, r.background}, {5, r.closeIdle}, {4, r.restart}, {4, r.kill}, {3, r.powerFailure}, {3, r.ioError},
		{4, r.newEpoch}, {3, r.checkpoint}, {4, r.fullDisk},
	}
	total := 0
	for _, o := range ops {
		total += o.weight
	}
	for r.step = 0; r.step < *modelOps && !t.Failed(); r.step++ {
		r.nowMs += int64(r.rng.IntN(200_000))
		n := r.rng.IntN(total)
		for _, o := range ops {
			if n -= o.weight; n < 0 {
				o.do()
				break
			}
		}
		r.checkOffsets()
		if r.step%20 == 0 {
			r.verify()
		}
	}
	if !t.Failed() {
		r.note("final")
		r.verify()
		r.restart()
		r.verify()
	}
}

func (r *model) note(format string, args ...any) {
	r.what = append(r.what, fmt.Sprintf("%4d ", r.step)+fmt.Sprintf(format, args...))
}

func (r *model) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("seed %d, step %d: %v\n%s", r.seed, r.step, err, strings.Join(r.what[max(0, len(r.what)-25):], "\n"))
	}
}

func (r *model) reset(at int64) {
	r.batches, r.start, r.leo, r.hw, r.epochs, r.mostStart = nil, at, at, at, nil, at
	r.sequence, r.open, r.lastBatch = map[int64]int32{}, map[int64]int64{}, map[int64]modelBatch{}
}

func (r *model) openManager(mem *vfs.Mem) {
	r.mem = mem
	r.fail = nil
	m, err := OpenManager(context.Background(), ManagerOptions{
		Dirs:                 []string{"/logs"},
		TopicConfig:          func(string) *LogConfig { return &r.config },
		FS:                   &vfs.Fault{FS: mem, Hook: r.hook},
		Now:                  func() time.Time { return time.UnixMilli(r.nowMs) },
		OnDirFailure:         func(string, error) { r.failed++ },
		ProducerIDExpiration: 1000 * time.Hour,
		Logger:               testLogger(r.t),
	})
	r.must(err)
	r.m = m
	r.l, err = m.GetOrCreate(modelTP, CreateOptions{IsNew: true})
	r.must(err)
}

func (r *model) hook(op vfs.Op, name string) error {
	if r.fail != nil {
		return r.fail(op, name)
	}
	return nil
}

// build makes a batch of a few records.
func (r *model) build(o record.BuilderOptions) record.Batch {
	n := 1 + r.rng.IntN(4)
	b := record.NewBuilder(o)
	at := o.BaseOffset
	for range n {
		ts := r.nowMs + int64(r.rng.IntN(100_000)) - 50_000
		if r.rng.IntN(30) == 0 {
			ts += 5_000_000
		}
		b.AppendAt(at, ts, []byte("k"), make([]byte, r.rng.IntN(120)))
		at++
		if o.BaseOffset > 0 && r.rng.IntN(10) == 0 {
			at += int64(r.rng.IntN(5)) // as compaction leaves it
		}
	}
	batch, err := b.Build()
	r.must(err)
	return batch
}

// added notes what was appended.
func (r *model) added(buf []byte) {
	for b, err := range record.Batches(buf) {
		r.must(err)
		mb := modelBatch{b.BaseOffset(), b.LastOffset(), bytes.Clone(b)}
		r.batches = append(r.batches, mb)
		r.leo = mb.last + 1
		r.enterEpoch(meta.LeaderEpoch(b.PartitionLeaderEpoch()), mb.base)
		if id := b.ProducerID(); id >= 0 {
			if b.IsControl() {
				delete(r.open, id)
			} else {
				r.sequence[id] = record.AddSequence(b.LastSequence(), 1)
				r.lastBatch[id] = mb
				if _, ok := r.open[id]; b.IsTransactional() && !ok {
					r.open[id] = mb.base
				}
			}
		}
	}
}

func (r *model) enterEpoch(epoch meta.LeaderEpoch, start int64) {
	if n := len(r.epochs); n == 0 || r.epochs[n-1].Epoch < epoch {
		r.epochs = slices.DeleteFunc(r.epochs, func(e EpochEntry) bool { return e.StartOffset >= start })
		r.epochs = append(r.epochs, EpochEntry{epoch, start})
	}
}

func (r *model) leaderAppend(batch record.Batch, o AppendOptions) {
	o.LeaderEpoch = meta.LeaderEpoch(r.epoch)
	info, err := r.l.AppendAsLeader(batch, o)
	if r.noRoom(err) {
		r.refused(batch)
		return
	}
	r.must(err)
	if info.FirstOffset != r.leo || info.LEO != batch.NextOffset() || info.Duplicate || info.Bytes != len(batch) {
		r.t.Errorf("append at %d: %+v", r.leo, info)
	}
	r.added(batch)
}

func (r *model) appendLeader() {
	batch := r.build(record.BuilderOptions{})
	r.note("append %d bytes at %d", len(batch), r.leo)
	r.leaderAppend(batch, AppendOptions{})
}

func (r *model) appendFollower() {
	var buf []byte
	at := r.leo
	if r.rng.IntN(3) == 0 {
		at += int64(r.rng.IntN(10))
	}
	for range 1 + r.rng.IntN(3) {
		if r.rng.IntN(8) == 0 {
			r.epoch++
		}
		b := r.build(record.BuilderOptions{BaseOffset: at, PartitionLeaderEpoch: r.epoch})
		buf = append(buf, b...)
		at = b.NextOffset() + int64(r.rng.IntN(3))
	}
	if len(buf) > int(r.config.SegmentBytes) {
		return
	}
	r.note("append as follower %d bytes at %d", len(buf), r.leo)
	whole := len(buf)
	if r.rng.IntN(2) == 0 {
		buf = append(buf, buf[:r.rng.IntN(60)]...) // the cut end of a fetch
	}
	_, err := r.l.AppendAsFollower(buf)
	if r.noRoom(err) {
		r.refused(buf[:whole])
		return
	}
	r.must(err)
	r.added(buf[:whole])
	// The same again must be refused.
	if _, err := r.l.AppendAsFollower(buf[:whole]); !errors.Is(err, ErrUnexpectedOffset) {
		r.t.Errorf("appended twice: %v", err)
	}
}

func (r *model) appendIdempotent() {
	id := int64(100 + r.rng.IntN(3))
	last, known := r.lastBatch[id]
	known = known && last.base >= r.mostStart
	if known && r.rng.IntN(4) == 0 {
		r.note("append the last batch of producer %d again", id)
		again := record.Batch(bytes.Clone(last.bytes))
		again.SetBaseOffset(0)
		info, err := r.l.AppendAsLeader(again, AppendOptions{LeaderEpoch: meta.LeaderEpoch(r.epoch)})
		if r.noRoom(err) {
			return
		}
		r.must(err)
		if !info.Duplicate || info.FirstOffset != last.base || info.LastOffset != last.last || info.LEO != r.leo {
			r.t.Errorf("duplicate of %d..%d: %+v", last.base, last.last, info)
		}
		return
	}
	o := record.BuilderOptions{Producer: r.producer(id)}
	if known && r.rng.IntN(6) == 0 {
		o.Producer.BaseSequence += 7
		if _, err := r.l.AppendAsLeader(r.build(o), AppendOptions{LeaderEpoch: meta.LeaderEpoch(r.epoch)}); !errors.Is(err, ErrOutOfOrderSequence) && !r.noRoom(err) {
			r.t.Errorf("sequence gap of producer %d: %v", id, err)
		}
		r.note("append with a sequence gap, refused")
		r.enterEpoch(meta.LeaderEpoch(r.epoch), r.leo)
		r.dropUnusedEpoch()
		return
	}
	r.note("append by producer %d from %d at %d", id, o.Producer.BaseSequence, r.leo)
	r.leaderAppend(r.build(o), AppendOptions{})
}

// dropUnusedEpoch: whether a refused append enters its epoch is left open.
func (r *model) dropUnusedEpoch() {
	r.epochs = slices.Clone(r.l.Epochs())
}

// producer is what the next batch of a producer carries. One that may have been forgotten, its last batch being below the
// log start offset, begins a new epoch: a marker alone would let the log expect sequence 0.
func (r *model) producer(id int64) *record.ProducerInfo {
	if last, ok := r.lastBatch[id]; !ok || last.base < r.mostStart {
		r.pepoch[id]++
		r.sequence[id] = 0
	}
	return &record.ProducerInfo{ID: id, Epoch: r.pepoch[id], BaseSequence: r.sequence[id]}
}

func (r *model) appendTxn() {
	id := int64(200 + r.rng.IntN(3))
	o := record.BuilderOptions{Transactional: true, Producer: r.producer(id)}
	r.note("append in transaction of %d at %d", id, r.leo)
	r.leaderAppend(r.build(o), AppendOptions{})
}

func (r *model) endTxn() {
	id := int64(200 + r.rng.IntN(3))
	if _, ok := r.open[id]; !ok && r.rng.IntN(3) > 0 {
		return
	}
	if _, ok := r.lastBatch[id]; !ok {
		return // would only make the producer's epoch known
	}
	marker := record.EndTxnMarker{Type: record.ControlType(r.rng.IntN(2)), CoordinatorEpoch: 5}
	buf, err := record.AppendEndTxn(nil, marker, id, r.pepoch[id], r.nowMs)
	r.must(err)
	r.note("%v of %d at %d", marker.Type, id, r.leo)
	r.leaderAppend(record.Batch(buf), AppendOptions{FromCoordinator: true})
}

func (r *model) newEpoch() {
	r.epoch++
	r.note("lead with epoch %d from %d", r.epoch, r.leo)
	if err := r.l.AssignEpochStart(meta.LeaderEpoch(r.epoch), r.leo); r.noRoom(err) {
		r.dropUnusedEpoch()
		return
	} else {
		r.must(err)
	}
	r.epochs = slices.DeleteFunc(r.epochs, func(e EpochEntry) bool { return e.StartOffset >= r.leo })
	r.epochs = append(r.epochs, EpochEntry{meta.LeaderEpoch(r.epoch), r.leo})
}

func (r *model) setHW() {
	r.hw = r.hw + r.rng.Int64N(r.leo-r.hw+1)
	r.note("high watermark %d", r.hw)
	if got := r.l.SetHighWatermark(r.hw); got != r.hw {
		r.t.Errorf("high watermark %d became %d", r.hw, got)
	}
}

func (r *model) advanceStart() {
	to := r.start + r.rng.Int64N(r.hw-r.start+1)
	r.note("log start offset %d", to)
	moved, err := r.l.AdvanceLogStartOffset(to)
	r.must(err)
	if moved != (to > r.start) {
		r.t.Errorf("start %d to %d: moved %v", r.start, to, moved)
	}
	r.startAt(to)
	if _, err := r.l.AdvanceLogStartOffset(r.hw + 1); !errors.Is(err, ErrOffsetOutOfRange) {
		r.t.Errorf("start beyond the high watermark: %v", err)
	}
}

func (r *model) startAt(to int64) {
	if to <= r.start {
		return
	}
	r.start, r.mostStart = to, max(r.mostStart, to)
	e := epochs{r.epochs}
	e.truncateFromStart(to)
	r.epochs = slices.Clone(e.entries)
}

func (r *model) retain() {
	r.note("retention")
	before := r.l.Size()
	_, err := r.l.deleteOld()
	if !r.noRoom(err) {
		r.must(err)
	}
	if limit := r.config.RetentionBytes; limit >= 0 && before >= limit && r.l.Size() < limit && r.l.LogStartOffset() > r.start {
		// Only segments below the log start offset may go beyond that.
		if first := (*r.l.segments.Load())[0]; first.base > r.start && r.l.Size() < limit && first.base != r.l.LogStartOffset() {
			r.t.Errorf("retention left %d of %d bytes, %d were to stay", r.l.Size(), before, limit)
		}
	}
	if got := r.l.LogStartOffset(); got > r.hw {
		r.t.Errorf("retention went beyond the high watermark %d: %d", r.hw, got)
	}
	r.startAt(r.l.LogStartOffset())
}

func (r *model) flush() {
	r.note("flush")
	r.must(r.l.Flush())
	if got := r.l.RecoveryPoint(); got != r.leo {
		r.t.Errorf("recovery point %d after a flush at %d", got, r.leo)
	}
}

// background does what the flusher goroutine would.
func (r *model) background() {
	r.note("background flush")
	r.must(r.l.flushSealed())
}

func (r *model) closeIdle() {
	r.note("close idle files")
	r.must(r.l.closeIdle())
	r.must(r.l.closeIdle())
	if n := r.m.env.openFiles.Load(); n != 0 {
		r.t.Errorf("%d files open", n)
	}
}

func (r *model) checkpoint() {
	r.note("checkpoints")
	r.must(r.m.CheckpointRecoveryPoints())
	r.must(r.m.CheckpointHighWatermarks())
}

func (r *model) truncate() {
	to := r.leo - r.rng.Int64N(min(r.leo-r.start, 40)+1)
	r.note("truncate to %d", to)
	cut, err := r.l.TruncateTo(to)
	if r.noRoom(err) {
		r.dropUnusedEpoch()
		return
	}
	r.must(err)
	if cut != (to < r.leo) {
		r.t.Errorf("truncate %d to %d: %v", r.leo, to, cut)
	}
	r.cut(to)
}

// cut drops the batches that reach to or beyond an offset, and what they did.
func (r *model) cut(to int64) {
	if to < r.leo {
		r.leo = to
	}
	r.batches = slices.DeleteFunc(r.batches, func(b modelBatch) bool { return b.last >= to })
	r.epochs = slices.DeleteFunc(r.epochs, func(e EpochEntry) bool { return e.StartOffset >= r.leo })
	r.hw, r.start = min(r.hw, to), min(r.start, to)
	r.rebuildProducers()
}

// rebuildProducers goes over all batches again.
func (r *model) rebuildProducers() {
	batches, leo, hw, list := r.batches, r.leo, r.hw, r.epochs
	r.batches = nil
	r.sequence, r.open, r.lastBatch = map[int64]int32{}, map[int64]int64{}, map[int64]modelBatch{}
	for _, b := range batches {
		r.added(b.bytes)
	}
	r.batches, r.leo, r.hw, r.epochs = batches, leo, hw, list
}

func (r *model) startOver() {
	to := r.rng.Int64N(r.leo + 50)
	r.note("start over at %d", to)
	r.must(r.l.TruncateFullyAndStartAt(to))
	r.reset(to)
}

func (r *model) read() {
	from := r.start + r.rng.Int64N(r.leo-r.start+1)
	upTo := []int64{r.leo, r.hw, r.leo + 5, from + r.rng.Int64N(20)}[r.rng.IntN(4)]
	size := []int{1, 61, 200, 1000, 1 << 20}[r.rng.IntN(5)]
	minOne := r.rng.IntN(2) == 0
	r.checkRead(from, size, upTo, minOne)
	for _, bad := range []int64{r.start - 1, r.leo + 1} {
		if _, err := r.l.Read(bad, 100, r.leo, true); !errors.Is(err, ErrOffsetOutOfRange) {
			r.t.Errorf("read at %d: %v", bad, err)
		}
	}
}

// checkRead compares one read with the batches and returns the offset to go on at.
func (r *model) checkRead(from int64, size int, upTo int64, minOne bool) int64 {
	got, err := r.l.Read(from, size, upTo, minOne)
	r.must(err)
	defer got.Slice.Release()
	upTo = min(upTo, r.leo)
	var want []byte
	first := -1
	for i, b := range r.batches {
		if b.last < from {
			continue
		}
		if b.last >= upTo || from >= upTo {
			break
		}
		if first < 0 {
			first = i
		}
		want = append(want, b.bytes...)
	}
	buf := make([]byte, got.Slice.Len)
	if len(buf) > 0 {
		_, err = got.Slice.ReadAt(buf, 0)
		r.must(err)
	}
	what := fmt.Sprintf("read %d (at most %d bytes, up to %d, first whole %v)", from, size, upTo, minOne)
	if first < 0 {
		if len(buf) != 0 {
			r.t.Errorf("%s: %d bytes instead of none", what, len(buf))
		}
		return r.leo
	}
	b := r.batches[first]
	if !bytes.HasPrefix(want, buf) || len(buf) == 0 {
		r.t.Errorf("%s: %d bytes that are not in the log there", what, len(buf))
		return r.leo
	}
	if got.StartOffset != b.base || got.FirstBatchLength != len(b.bytes) {
		r.t.Errorf("%s: begins at %d with %d bytes, want %d with %d", what, got.StartOffset, got.FirstBatchLength, b.base, len(b.bytes))
	}
	limit := size
	if minOne {
		limit = max(limit, len(b.bytes))
	}
	if len(buf) > limit {
		r.t.Errorf("%s: %d bytes", what, len(buf))
	}
	next := from
	for c, err := range record.Batches(buf) {
		if err != nil {
			break
		}
		next = c.NextOffset()
	}
	if minOne && next == from {
		r.t.Errorf("%s: no progress", what)
		return r.leo
	}
	return next
}

func (r *model) checkOffsets() {
	l := r.l
	if l.LogStartOffset() != r.start || l.LogEndOffset() != r.leo || l.HighWatermark() != r.hw {
		r.t.Errorf("log is [%d, %d) with high watermark %d, want [%d, %d) with %d", l.LogStartOffset(), l.LogEndOffset(), l.HighWatermark(),
			r.start, r.leo, r.hw)
	}
	stable := r.hw
	for _, first := range r.openSinceStart() {
		stable = min(stable, first)
	}
	if got := l.LastStableOffset(); got > stable || got < r.start {
		r.t.Errorf("last stable offset %d, at most %d", got, stable)
	}
	if l.RecoveryPoint() > l.LogEndOffset() {
		r.t.Errorf("recovery point %d behind the end", l.RecoveryPoint())
	}
}

// openSinceStart are the open transactions as the batches from the log start offset on tell: what began before may be
// forgotten when the state is rebuilt.
func (r *model) openSinceStart() map[int64]int64 {
	open := map[int64]int64{}
	for _, b := range r.batches {
		v := record.Batch(b.bytes)
		if b.base < r.mostStart || b.last >= r.leo || !v.IsTransactional() {
			continue
		}
		if _, ok := open[v.ProducerID()]; v.IsControl() {
			delete(open, v.ProducerID())
		} else if !ok {
			open[v.ProducerID()] = b.base
		}
	}
	return open
}

// verify reads everything and asks every question.
func (r *model) verify() {
	size := []int{1, 300, 5000}[r.rng.IntN(3)]
	for next := r.start; next < r.leo && !r.t.Failed(); {
		next = r.checkRead(next, size, r.leo, true)
	}
	if !slices.Equal(r.l.Epochs(), r.epochs) {
		r.t.Errorf("epochs %v, want %v", r.l.Epochs(), r.epochs)
	}
	var stamps []TimestampOffset
	for _, b := range r.batches {
		v, err := record.View(b.bytes)
		r.must(err)
		for rec, err := range v.Records(nil) {
			r.must(err)
			if rec.Offset >= r.start && b.last < r.leo {
				stamps = append(stamps, TimestampOffset{rec.Timestamp, rec.Offset, meta.LeaderEpoch(v.PartitionLeaderEpoch())})
			}
		}
	}
	for range 5 {
		ts := r.nowMs - int64(r.rng.IntN(3_000_000))
		if len(stamps) > 0 && r.rng.IntN(2) == 0 {
			ts = stamps[r.rng.IntN(len(stamps))].Timestamp
		}
		got, ok, err := r.l.OffsetForTimestamp(ts)
		r.must(err)
		i := slices.IndexFunc(stamps, func(s TimestampOffset) bool { return s.Timestamp >= ts })
		switch {
		case !ok && i >= 0 && (*r.l.segments.Load())[0].base < r.start:
			// The segment that is young enough may be so for a record below the log start offset.
		case ok != (i >= 0):
			r.t.Errorf("offset for %d: found %v, want %v", ts, ok, i >= 0)
		case ok && got != stamps[i]:
			r.t.Errorf("offset for %d: %+v, want %+v", ts, got, stamps[i])
		}
	}
	r.verifyTxns()
	states := map[int64]ProducerState{}
	for _, p := range r.l.ActiveProducers() {
		states[p.ProducerID] = p
	}
	open := r.openSinceStart()
	for id, next := range r.sequence {
		if r.lastBatch[id].base < r.mostStart {
			continue
		}
		p, ok := states[id]
		start, isOpen := open[id]
		if !isOpen {
			start = -1
		}
		if !ok || record.AddSequence(p.LastSequence, 1) != next || p.TxnStartOffset != start && p.TxnStartOffset >= r.mostStart {
			r.t.Errorf("producer %d: %+v, want sequence %d, transaction from %d", id, p, next, start)
		}
	}
}

// verifyTxns compares the aborted transactions of a few ranges.
func (r *model) verifyTxns() {
	open := map[int64]int64{}
	type txn struct {
		AbortedTxn
		last int64
	}
	var aborted []txn
	for _, b := range r.batches {
		v, err := record.View(b.bytes)
		r.must(err)
		id := v.ProducerID()
		if !v.IsTransactional() {
			continue
		}
		if !v.IsControl() {
			if _, ok := open[id]; !ok {
				open[id] = b.base
			}
			continue
		}
		m, _, err := v.EndTxn()
		r.must(err)
		if first, ok := open[id]; ok && m.Type == record.ControlAbort {
			aborted = append(aborted, txn{AbortedTxn{id, first}, b.base})
		}
		delete(open, id)
	}
	for range 4 {
		from := r.start + r.rng.Int64N(r.leo-r.start+1)
		upTo := min(from+r.rng.Int64N(60), r.l.LastStableOffset())
		got, err := r.l.AbortedTxns(from, upTo)
		r.must(err)
		var want []AbortedTxn
		for _, a := range aborted {
			if a.last >= from && a.FirstOffset < upTo {
				want = append(want, a.AbortedTxn)
			}
		}
		if from >= upTo || slices.ContainsFunc(aborted, func(a txn) bool { return a.FirstOffset < r.mostStart && a.last >= from }) {
			continue // the beginning of that transaction may be forgotten
		}
		byFirst := func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) }
		slices.SortFunc(got, byFirst)
		slices.SortFunc(want, byFirst)
		if !slices.Equal(got, want) {
			r.t.Errorf("aborted in [%d, %d): %v, want %v", from, upTo, got, want)
		}
	}
}

// restart stops cleanly and opens again.
func (r *model) restart() {
	r.note("restart")
	r.must(r.m.Close())
	r.openManager(r.mem)
	if got := r.m.ReadHighWatermark(modelTP); got != r.hw {
		r.t.Errorf("checkpointed high watermark %d, want %d", got, r.hw)
	}
	r.afterTruncation()
	r.l.SetHighWatermark(r.hw)
	r.epochs = slices.DeleteFunc(r.epochs, func(e EpochEntry) bool { return e.StartOffset >= r.leo })
}

// afterTruncation: an end that lies behind the last batch, where a truncation put it, is not remembered.
func (r *model) afterTruncation() {
	end := r.start
	if n := len(r.batches); n > 0 {
		end = r.batches[n-1].last + 1
	}
	if got := r.l.LogEndOffset(); got < r.leo && got >= end {
		r.leo, r.hw = got, min(r.hw, got)
	}
}

// kill is kill -9: everything written is there.
func (r *model) kill() {
	r.note("kill")
	r.abandon()
	r.openManager(r.mem.Clone())
	r.afterTruncation()
	r.afterCrash(r.leo, r.leo)
}

// powerFailure loses what was not synced.
func (r *model) powerFailure() {
	safe := r.l.RecoveryPoint()
	r.note("power failure, safe up to %d", safe)
	r.abandon()
	r.openManager(r.mem.CrashClone(rand.New(rand.NewPCG(r.seed, uint64(r.step)))))
	r.afterTruncation()
	r.afterCrash(min(safe, r.leo), r.leo)
}

// abandon leaves the old manager behind as a dead process would.
func (r *model) abandon() {
	for l := range r.m.Logs() {
		l.end(ErrClosed)
		l.mu.Lock()
		l.abandonLocked()
		l.mu.Unlock()
	}
	r.m = nil
}

// afterCrash takes up what is left, which must be all up to safe and nothing but what was there up to most.
func (r *model) afterCrash(safe, most int64) {
	got := r.l.LogEndOffset()
	r.note("log is [%d, %d) now", r.l.LogStartOffset(), got)
	// An end behind the last batch, where a truncation put it, is not remembered.
	point, below := safe, r.l.LogStartOffset()
	for _, b := range r.batches {
		if b.last < safe {
			below = b.last + 1
		}
	}
	safe = min(safe, below)
	if got < safe || got > most {
		r.t.Errorf("log ends at %d after a crash, want %d to %d", got, safe, most)
		return
	}
	start := r.l.LogStartOffset()
	if start > r.start {
		r.t.Errorf("log starts at %d after a crash, started at %d", start, r.start)
	}
	hw, epochs, oldStart := r.hw, r.epochs, r.start
	// The batches in between have to be whole: the end is the end of one.
	r.start = start
	r.cut(got)
	if n := len(r.batches); n > 0 && r.batches[n-1].last+1 != got && got != most && got != point && got != start && got != r.l.active().base {
		r.t.Errorf("log ends at %d, its last batch at %d", got, r.batches[n-1].last)
	}
	// Of epochs: those with data, and perhaps an old start. They must agree with what was known.
	r.epochs = slices.Clone(r.l.Epochs())
	for _, e := range r.epochs {
		if !slices.ContainsFunc(epochs, func(k EpochEntry) bool { return k.Epoch == e.Epoch }) && e.StartOffset >= oldStart &&
			!slices.ContainsFunc(r.batches, func(b modelBatch) bool { return record.Batch(b.bytes).PartitionLeaderEpoch() == int32(e.Epoch) }) {
			r.t.Errorf("epoch %d at %d from nowhere; known were %v", e.Epoch, e.StartOffset, epochs)
		}
	}
	r.hw = r.l.SetHighWatermark(min(hw, got))
	r.verify()
}

var errModel = errors.New("injected")

// ioError makes a write, sync or so fail in the middle of a few operations. From then on everything must fail without
// being tried again, and a restart must find all that was acknowledged.
func (r *model) ioError() {
	count := r.rng.IntN(6)
	var at string
	var after int
	r.fail = func(op vfs.Op, name string) error {
		if at != "" && (op == vfs.OpWrite || op == vfs.OpSync || op == vfs.OpTruncate) {
			after++
		}
		if op != vfs.OpWrite && op != vfs.OpSync && op != vfs.OpTruncate && op != vfs.OpRename && op != vfs.OpSyncDir && op != vfs.OpCreate {
			return nil
		}
		if count--; count >= 0 || at != "" {
			return nil
		}
		at = fmt.Sprint(op, " ", name)
		if op == vfs.OpWrite && r.rng.IntN(2) == 0 {
			return &vfs.ShortWrite{N: r.rng.IntN(100), Err: errModel}
		}
		return errModel
	}
	r.failed = 0
	var err error
	acknowledged := r.leo
	most := r.leo
	for range 30 {
		batch := r.build(record.BuilderOptions{})
		var info AppendInfo
		info, err = r.l.AppendAsLeader(batch, AppendOptions{LeaderEpoch: meta.LeaderEpoch(r.epoch)})
		if err != nil {
			// It may have been written whole: it was assigned these offsets and then something failed.
			if batch.BaseOffset() == r.leo && batch.LastOffset() >= r.leo {
				r.added(batch)
			}
			most = max(most, r.leo)
			break
		}
		r.added(batch)
		acknowledged, most = info.LEO, info.LEO
		if r.rng.IntN(4) == 0 {
			if err = r.l.Flush(); err != nil {
				break
			}
		}
	}
	if err == nil {
		r.fail = nil
		r.note("no I/O error met")
		return
	}
	r.note("I/O error at %s, acknowledged up to %d", at, acknowledged)
	var de *DirError
	if !errors.As(err, &de) || de.Dir != "/logs" || !errors.Is(err, errModel) || r.failed != 1 {
		r.t.Errorf("failed with %v, %d callbacks", err, r.failed)
	}
	after = 0
	_, err1 := r.l.AppendAsLeader(r.build(record.BuilderOptions{}), AppendOptions{})
	_, err2 := r.l.TruncateTo(r.start)
	_, err3 := r.l.Read(r.start, 100, math.MaxInt64, true)
	for _, err := range []error{err1, err2, err3, r.l.Flush(), r.m.CheckpointRecoveryPoints(), r.l.Err(), r.m.Close()} {
		if !errors.Is(err, ErrDirOffline) && err != nil {
			r.t.Errorf("after an I/O error: %v", err)
		}
	}
	if err1 == nil || err2 == nil || err3 == nil || after != 0 {
		r.t.Errorf("used after an I/O error: %v %v %v, %d writes", err1, err2, err3, after)
	}
	safe := r.l.RecoveryPoint()
	r.fail = nil
	mem := r.mem.Clone()
	if power := r.rng.IntN(3) == 0; power {
		mem = r.mem.CrashClone(rand.New(rand.NewPCG(r.seed, uint64(r.step))))
	} else {
		safe = acknowledged
	}
	r.openManager(mem)
	r.leo = most
	r.afterTruncation()
	r.afterCrash(min(safe, r.leo), r.leo)
}
