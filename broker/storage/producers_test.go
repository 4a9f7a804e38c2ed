package storage

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
)

func idempotent(t testing.TB, id int64, epoch int16, sequence int32, n int) record.Batch {
	return numberedBatch(t, record.BuilderOptions{Producer: &record.ProducerInfo{ID: id, Epoch: epoch, BaseSequence: sequence}}, n)
}

func transactional(t testing.TB, id int64, epoch int16, sequence int32, n int) record.Batch {
	return numberedBatch(t, record.BuilderOptions{Transactional: true, Producer: &record.ProducerInfo{ID: id, Epoch: epoch, BaseSequence: sequence}}, n)
}

func numberedBatch(t testing.TB, o record.BuilderOptions, n int) record.Batch {
	b := record.NewBuilder(o)
	for range n {
		b.Append(time.Now().UnixMilli(), []byte("k"), []byte("v"))
	}
	batch, err := b.Build()
	check(t, err)
	return batch
}

func marker(t testing.TB, kind record.ControlType, id int64, epoch int16, coordinator int32) record.Batch {
	b, err := record.AppendEndTxn(nil, record.EndTxnMarker{Type: kind, CoordinatorEpoch: coordinator}, id, epoch, time.Now().UnixMilli())
	check(t, err)
	return b
}

// TestSequences is the table of ProducerAppendInfo.checkSequence and its surroundings: what a client may append after
// what.
func TestSequences(t *testing.T) {
	first := func(batches ...record.Batch) []record.Batch { return batches }
	for _, c := range []struct {
		name   string
		before []record.Batch
		batch  record.Batch
		err    error
		dup    bool
	}{
		{"unknown producer, any sequence", nil, idempotent(t, 1, 0, 17, 2), nil, false},
		{"next", first(idempotent(t, 1, 0, 0, 3)), idempotent(t, 1, 0, 3, 1), nil, false},
		{"gap", first(idempotent(t, 1, 0, 0, 3)), idempotent(t, 1, 0, 4, 1), ErrOutOfOrderSequence, false},
		{"back", first(idempotent(t, 1, 0, 0, 3)), idempotent(t, 1, 0, 1, 1), ErrOutOfOrderSequence, false},
		{"again", first(idempotent(t, 1, 0, 0, 3)), idempotent(t, 1, 0, 0, 3), nil, true},
		{"again, other length", first(idempotent(t, 1, 0, 0, 3)), idempotent(t, 1, 0, 0, 2), ErrOutOfOrderSequence, false},
		{"wrapped", first(idempotent(t, 1, 0, math.MaxInt32-1, 2)), idempotent(t, 1, 0, 0, 1), nil, false},
		{"wraps inside", first(idempotent(t, 1, 0, math.MaxInt32, 3)), idempotent(t, 1, 0, 2, 1), nil, false},
		{"wraps inside, again", first(idempotent(t, 1, 0, math.MaxInt32, 3)), idempotent(t, 1, 0, math.MaxInt32, 3), nil, true},
		{"old epoch", first(idempotent(t, 1, 5, 0, 1)), idempotent(t, 1, 4, 1, 1), ErrInvalidProducerEpoch, false},
		{"new epoch from 0", first(idempotent(t, 1, 5, 0, 1)), idempotent(t, 1, 6, 0, 1), nil, false},
		{"new epoch from elsewhere", first(idempotent(t, 1, 5, 0, 1)), idempotent(t, 1, 6, 1, 1), ErrOutOfOrderSequence, false},
		{"outside of its transaction", first(transactional(t, 1, 0, 0, 1)), idempotent(t, 1, 0, 1, 1), ErrInvalidTxnState, false},
		{"in its transaction", first(transactional(t, 1, 0, 0, 1)), transactional(t, 1, 0, 1, 1), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, l := memLog(t, vfs.NewMem(), nil)
			for _, b := range c.before {
				_, err := l.AppendAsLeader(slices.Clone(b), AppendOptions{})
				check(t, err)
			}
			end := l.LogEndOffset()
			info, err := l.AppendAsLeader(slices.Clone(c.batch), AppendOptions{})
			if !errors.Is(err, c.err) || info.Duplicate != c.dup {
				t.Errorf("%+v, %v", info, err)
			}
			if grew := l.LogEndOffset() > end; grew != (err == nil && !c.dup) {
				t.Errorf("log went from %d to %d", end, l.LogEndOffset())
			}
			if c.dup && (info.FirstOffset != 0 || info.LastOffset != end-1 || info.Bytes != 0) {
				t.Errorf("%+v", info)
			}
		})
	}
}

func TestAnyOfFiveBatchesMayComeAgain(t *testing.T) {
	_, l := memLog(t, vfs.NewMem(), nil)
	for i := range int32(8) {
		_, err := l.AppendAsLeader(idempotent(t, 1, 0, i*2, 2), AppendOptions{})
		check(t, err)
	}
	for i := range int32(8) {
		info, err := l.AppendAsLeader(idempotent(t, 1, 0, i*2, 2), AppendOptions{})
		if remembered := i >= 3; remembered != (err == nil && info.Duplicate && info.FirstOffset == int64(i)*2) {
			t.Errorf("batch %d again: %+v %v", i, info, err)
		}
	}
}

func TestMarkers(t *testing.T) {
	_, l := memLog(t, vfs.NewMem(), nil)
	coordinator := AppendOptions{FromCoordinator: true}
	appendTo := func(b record.Batch, o AppendOptions) error {
		_, err := l.AppendAsLeader(b, o)
		return err
	}
	check(t, appendTo(transactional(t, 1, 3, 0, 2), AppendOptions{})) // 0, 1
	check(t, appendTo(transactional(t, 2, 0, 0, 1), AppendOptions{})) // 2
	l.SetHighWatermark(3)
	if got := l.LastStableOffset(); got != 0 {
		t.Errorf("last stable offset %d with two transactions open", got)
	}
	if !l.HasOpenTxn(1) || l.HasOpenTxn(3) {
		t.Error("open transactions")
	}
	if err := appendTo(marker(t, record.ControlAbort, 1, 2, 7), coordinator); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("marker with an old epoch: %v", err)
	}
	check(t, appendTo(marker(t, record.ControlAbort, 1, 4, 7), coordinator)) // 3; raises the epoch
	if err := appendTo(marker(t, record.ControlCommit, 1, 4, 6), coordinator); !errors.Is(err, ErrCoordinatorFenced) {
		t.Errorf("marker of an old coordinator: %v", err)
	}
	if got := l.LastStableOffset(); got != 0 {
		t.Errorf("last stable offset %d while the marker is not replicated", got)
	}
	l.SetHighWatermark(4)
	if got := l.LastStableOffset(); got != 2 {
		t.Errorf("last stable offset %d, want that of the open transaction", got)
	}
	check(t, appendTo(marker(t, record.ControlCommit, 2, 0, 7), coordinator)) // 4
	l.SetHighWatermark(5)
	if got := l.LastStableOffset(); got != 5 {
		t.Errorf("last stable offset %d with all decided", got)
	}
	aborted, err := l.AbortedTxns(0, 5)
	if err != nil || !slices.Equal(aborted, []AbortedTxn{{1, 0}}) {
		t.Errorf("%v %v", aborted, err)
	}
	var entries []abortedTxn
	check(t, l.active().eachTxn(func(a abortedTxn) bool { entries = append(entries, a); return true }))
	if !slices.Equal(entries, []abortedTxn{{1, 0, 3, 2}}) { // stable up to the other transaction then
		t.Errorf("%v", entries)
	}
	// The epoch of the marker fences the producer, whose next one begins at 0.
	if err := appendTo(transactional(t, 1, 3, 2, 1), AppendOptions{}); !errors.Is(err, ErrInvalidProducerEpoch) {
		t.Errorf("fenced producer: %v", err)
	}
	if err := appendTo(transactional(t, 1, 4, 5, 1), AppendOptions{}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("sequence after a marker: %v", err)
	}
	check(t, appendTo(transactional(t, 1, 4, 0, 1), AppendOptions{}))
	// A marker without data leaves no trace in the index.
	check(t, appendTo(marker(t, record.ControlAbort, 9, 0, 7), coordinator))
	if aborted, _ := l.AbortedTxns(0, 100); len(aborted) != 1 {
		t.Errorf("%v", aborted)
	}
	states := l.ActiveProducers()
	if len(states) != 3 || states[0].ProducerID != 1 || states[0].ProducerEpoch != 4 || states[0].TxnStartOffset != 5 || states[1].CoordinatorEpoch != 7 {
		t.Errorf("%+v", states)
	}
}

// TestVerification is KIP-890, part 1: no transactional batch without the coordinator's knowledge.
func TestVerification(t *testing.T) {
	m, l := memLog(t, vfs.NewMem(), func(o *ManagerOptions, _ *LogConfig) { o.VerifyTransactions = true })
	send := func(b record.Batch, g VerificationGuard) error {
		_, err := l.AppendAsLeader(b, AppendOptions{Verified: g})
		return err
	}
	if err := send(transactional(t, 1, 0, 0, 1), VerificationGuard{}); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("unverified: %v", err)
	}
	later := l.StartVerification(1, 0, 5) // a batch that overtook the first
	guard := l.StartVerification(1, 0, 0)
	if guard != later || guard == (VerificationGuard{}) {
		t.Error("two guards for one transaction")
	}
	if err := send(transactional(t, 1, 0, 5, 1), later); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("overtaking batch: %v", err)
	}
	check(t, send(transactional(t, 1, 0, 0, 5), guard))
	if g := l.StartVerification(1, 0, 5); g != (VerificationGuard{}) {
		t.Error("verification of an open transaction")
	}
	check(t, send(transactional(t, 1, 0, 5, 1), VerificationGuard{}))
	_, err := l.AppendAsLeader(marker(t, record.ControlCommit, 1, 0, 0), AppendOptions{FromCoordinator: true})
	check(t, err)
	if err := send(transactional(t, 1, 0, 6, 1), guard); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("with the guard of the last transaction: %v", err)
	}
	check(t, send(idempotent(t, 2, 0, 0, 1), VerificationGuard{}))
	// Both settings may change at any time.
	m.Tune(Tuning{ProducerIDExpiration: time.Hour})
	check(t, send(transactional(t, 3, 0, 0, 1), VerificationGuard{}))
	m.Tune(Tuning{ProducerIDExpiration: time.Hour, VerifyTransactions: true})
	if err := send(transactional(t, 4, 0, 0, 1), VerificationGuard{}); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("unverified again: %v", err)
	}
}

func TestProducersExpire(t *testing.T) {
	now := time.Now()
	m, l := memLog(t, vfs.NewMem(), func(o *ManagerOptions, _ *LogConfig) {
		o.Now = func() time.Time { return now }
		o.ProducerIDExpiration = time.Hour
	})
	_, err := l.AppendAsLeader(idempotent(t, 1, 0, 0, 1), AppendOptions{})
	check(t, err)
	_, err = l.AppendAsLeader(transactional(t, 2, 0, 0, 1), AppendOptions{})
	check(t, err)
	m.expireProducers()
	if len(l.ActiveProducers()) != 2 {
		t.Error("expired at once")
	}
	now = now.Add(2 * time.Hour)
	m.expireProducers()
	if got := l.ActiveProducers(); len(got) != 1 || got[0].ProducerID != 2 {
		t.Errorf("%+v", got) // the one in a transaction stays
	}
}
