package storage

import (
	"cmp"
	"slices"

	"github.com/kraal-mq/kraal/broker/record"
)

// cleanTxns follows the transactions in the batches a pass goes over, in order, to tell which data was aborted and which
// markers have lost all their data. (LogCleaner.scala, CleanedTransactionMetadata)
type cleanTxns struct {
	pending   []abortedTxn           // not reached yet, by first offset
	aborted   map[int64]*abortedData // by producer: aborted, between data and marker
	committed map[int64]struct{}     // producers with data met since their last marker
	retain    func(abortedTxn) error // an abort whose marker stays
}

type abortedData struct {
	txn  abortedTxn
	seen bool // data of it was met
}

func newCleanTxns(retain func(abortedTxn) error) *cleanTxns {
	return &cleanTxns{aborted: map[int64]*abortedData{}, committed: map[int64]struct{}{}, retain: retain}
}

// add makes aborted transactions known before their batches come. The same one may be added for several segments.
func (t *cleanTxns) add(list []abortedTxn) {
	t.pending = append(t.pending, list...)
	slices.SortStableFunc(t.pending, func(a, b abortedTxn) int { return cmp.Compare(a.firstOffset, b.firstOffset) })
}

func (t *cleanTxns) reach(offset int64) {
	n := 0
	for ; n < len(t.pending) && t.pending[n].firstOffset <= offset; n++ {
		if p := t.pending[n]; t.aborted[p.producerID] == nil {
			t.aborted[p.producerID] = &abortedData{txn: p}
		}
	}
	t.pending = slices.Delete(t.pending, 0, n)
}

// data says whether a data batch was aborted.
func (t *cleanTxns) data(b record.Batch) bool {
	t.reach(b.LastOffset())
	if !b.IsTransactional() {
		return false
	}
	if a := t.aborted[b.ProducerID()]; a != nil {
		a.seen = true
		return true
	}
	t.committed[b.ProducerID()] = struct{}{}
	return false
}

// control says whether a control batch has lost its purpose: nothing of its transaction is left.
func (t *cleanTxns) control(b record.Batch) (discard bool, err error) {
	t.reach(b.LastOffset())
	if b.Count() == 0 {
		return true, nil
	}
	marker, ok, err := b.EndTxn()
	if err != nil || !ok {
		return false, err
	}
	id := b.ProducerID()
	if marker.Type == record.ControlCommit {
		_, had := t.committed[id]
		delete(t.committed, id)
		return !had, nil
	}
	a := t.aborted[id]
	delete(t.aborted, id)
	if a == nil || !a.seen {
		return true, nil
	}
	if t.retain == nil {
		return false, nil
	}
	return false, t.retain(a.txn)
}
