package group

import (
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Offsets committed in a transaction are records in the log, whatever keeps the others: they are pending until the transaction's
// marker is there as well. Then they count from where they are in the log, as in Kafka, so that what was committed later outside of
// transactions stays. If the tree keeps offsets they go there then; the coordinator that dies in between leaves that to the next one,
// who sees from the position in the tree which of the log's records are missing there.

// begin notes that a transaction is about to have an offset in the log.
func (t *offsetTable) begin(o *groupOffsets, producerID int64, tp meta.TopicPartition) *pendingOffset {
	txn := o.txns[producerID]
	if txn == nil {
		txn = map[meta.TopicPartition]*pendingOffset{}
		o.txns[producerID] = txn
		if t.producers[producerID] == nil {
			t.producers[producerID] = map[string]*groupOffsets{}
		}
		t.producers[producerID][o.id] = o
	}
	p := txn[tp]
	if p == nil {
		p = &pendingOffset{loggedOffset: loggedOffset{at: coord.NoPosition}}
		txn[tp] = p
	}
	return p
}

// appended notes that an offset of an open transaction is in the log.
func (t *offsetTable) appended(o *groupOffsets, producerID int64, tp meta.TopicPartition, l loggedOffset) {
	p := t.begin(o, producerID, tp)
	if l.at.Compare(p.at) > 0 {
		p.loggedOffset = l
	}
	e := o.entry(tp)
	e.logged = newest(e.logged, l.at)
}

func newest(a, b coord.Position) coord.Position {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// commitTxn appends offsets as part of a transaction. done gets an error, or nil when they are replicated.
func (t *offsetTable) commitTxn(o *groupOffsets, q CommitRequest, parts []commitPart, done func(error)) {
	for _, c := range parts {
		t.begin(o, q.ProducerID, c.tp).appending++
	}
	t.s.env.Append(coord.Batch{Records: t.recordsOf(o.id, parts), ProducerID: q.ProducerID, ProducerEpoch: q.ProducerEpoch,
		Transactional: true, Verified: q.Verified}, func(at coord.Position, err error) {
		for i, c := range parts {
			if p := o.txns[q.ProducerID][c.tp]; p != nil {
				p.appending--
			}
			if err == nil {
				t.appended(o, q.ProducerID, c.tp, loggedOffset{c.value, coord.Position{LeaderEpoch: at.LeaderEpoch, Offset: at.Offset + int64(i)}})
			}
		}
		t.endTxn(o, q.ProducerID, func(*pendingOffset) bool { return false })
		done(err)
	})
	if end := t.s.env.LogEnd(); end != coord.NoPosition {
		end.Offset--
		for _, c := range parts { // what is decided from now on is newer, and has to say so
			e := o.entry(c.tp)
			e.logged = newest(e.logged, end)
		}
	}
}

// endTxn takes those offsets out of a transaction that ended picks, and all that came to nothing.
func (t *offsetTable) endTxn(o *groupOffsets, producerID int64, ended func(*pendingOffset) bool) {
	txn := o.txns[producerID]
	for tp, p := range txn {
		if ended(p) {
			p.loggedOffset = loggedOffset{at: coord.NoPosition}
		}
		if p.appending == 0 && p.at == coord.NoPosition {
			delete(txn, tp)
			o.tidy(tp)
		}
	}
	if len(txn) > 0 {
		return
	}
	delete(o.txns, producerID)
	if groups := t.producers[producerID]; groups != nil {
		delete(groups, o.id)
		if len(groups) == 0 {
			delete(t.producers, producerID)
		}
	}
}

// replayMarker ends a producer's transaction: what is in the log below the marker is committed or gone. What is still on its way to
// the log is above it, and the next transaction's.
func (t *offsetTable) replayMarker(producerID int64, _ int16, committed bool) {
	for _, o := range t.producers[producerID] {
		if committed {
			for tp, p := range o.txns[producerID] {
				e := o.entry(tp)
				if p.at != coord.NoPosition && (e.fromLog == nil || p.at.Compare(e.fromLog.at) > 0) {
					e.fromLog = &loggedOffset{p.value, p.at}
				}
			}
		}
		closed := o.txns[producerID]
		tps := make([]meta.TopicPartition, 0, len(closed))
		for tp := range closed {
			tps = append(tps, tp)
		}
		t.endTxn(o, producerID, func(*pendingOffset) bool { return true })
		if t.alive {
			for _, tp := range tps {
				if e := o.entries[tp]; e != nil {
					t.commitLogged(o, tp, e)
				}
			}
		}
		t.drop(o)
	}
}

// commitLogged decides on what the log has committed of a partition, now or once the tree was read.
func (t *offsetTable) commitLogged(o *groupOffsets, tp meta.TopicPartition, e *entry) {
	l := e.fromLog
	if l == nil {
		return
	}
	if o.reading != known {
		t.read(o)
		return
	}
	e.fromLog = nil
	if l.at.Compare(e.decided) <= 0 {
		return
	}
	e.decided = l.at
	t.show(e, l.value, l.at)
	if !t.toTree() || !t.alive {
		return // the log has the last word
	}
	e.behind++
	t.putOffset(o, tp, e, l.value, true, l.at, func(err error) {
		if e.behind--; err != nil && !t.s.ended {
			t.s.logger.Error("an offset committed in a transaction could not be written to ZooKeeper", zap.String("group", o.id),
				zap.Stringer("of", tp), zap.Error(err))
		}
	})
}
