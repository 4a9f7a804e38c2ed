package storage

import (
	"slices"

	"github.com/kraal-mq/kraal/broker/record"
)

const (
	// lookBackWindow is how many bytes of the log are searched at first for earlier batches of a producer; then four times as many.
	lookBackWindow = 256 << 10
	// lookBackLimit ends the search: what a client has in flight lies close together.
	lookBackLimit = 64 << 20
)

// lookBackLocked finds the batches of a producer before those that are remembered, as many as are to be. A snapshot keeps only the
// last one, which is not enough for a client that had several in flight and heard of none:
//
//  1. It sends batches 1, 2 and 3, which are appended; followers are away, so that none is acknowledged.
//  2. The broker is stopped in good order, or it follows for a while and its log is cut behind batch 3. Either way the producer
//     state comes from a snapshot: only batch 3 is known.
//  3. The client sends 1 again. It is no batch that is remembered, and is refused as out of order; clients take that for lost
//     records, begin a new epoch, and write 1, 2 and 3 a second time.
//
// It is done at most once for each producer and snapshot, when a batch is out of order. Kafka does not, and has those duplicates.
// It needs mu.
func (l *Log) lookBackLocked(p *producer) error {
	p.partial = false
	if p.n == 0 {
		return nil
	}
	end := p.batches[0].firstOffset()
	want := keptBatches - p.n
	var found []producerBatch
	left, window := int64(lookBackLimit), int64(lookBackWindow)
	segs := *l.segments.Load()
	for i := floorSegment(segs, end-1); i >= 0 && len(found) < want && left > 0; i-- {
		upper := segs[i].size.Load()
		for upper > 0 && len(found) < want && left > 0 {
			start, earlier, complete, err := segs[i].batchesOf(p, max(0, upper-min(window, left)), upper, end)
			if err != nil {
				return err
			}
			found = append(earlier, found...)
			if complete {
				left = 0
			}
			left -= upper - start
			upper, window = start, 4*window
		}
	}
	found = found[max(0, len(found)-want):]
	kept := append(slices.Clone(found), p.batches[:p.n]...)
	p.n = copy(p.batches[:], kept)
	return nil
}

// batchesOf lists the batches of a producer's present epoch that lie between about lower and upper, and begin before the offset
// end. It says where it began to look, and whether there are none before that: the epoch begins here.
func (s *segment) batchesOf(p *producer, lower, upper, end int64) (start int64, found []producerBatch, complete bool, err error) {
	h, err := s.acquire()
	if err != nil {
		return 0, nil, false, err
	}
	defer h.release()
	if lower > 0 {
		at, ok, err := s.firstIndexedFrom(lower)
		if err != nil {
			return 0, nil, false, err
		}
		if ok && at.position < upper {
			start = at.position
		}
	}
	sc := newScanner(h, start, upper, scanBuffer)
	defer sc.close()
	for sc.next() {
		b := sc.header()
		if !sc.h.HasProducerID() || b.ProducerID() != p.id {
			continue
		}
		if b.BaseOffset() >= end {
			break
		}
		switch {
		case b.ProducerEpoch() != p.epoch:
			found, complete = nil, true // what came before is another epoch's
		case sc.h.IsControl():
		default:
			complete = complete || b.BaseSequence() == 0
			found = append(found, producerBatch{b.LastSequence(), int32(b.LastOffset() - b.BaseOffset()), b.LastOffset(), b.MaxTimestamp()})
		}
	}
	return start, found, complete, sc.err
}

// sentBefore reports whether a batch is one that this producer has sent before, looking further back than it remembers if need
// be. It needs mu.
func (l *Log) sentBefore(p *producer, b record.Batch) (producerBatch, bool, error) {
	if dup, again := p.duplicateOf(b); again {
		return dup, true, nil
	}
	if !p.partial || b.ProducerEpoch() != p.epoch || p.follows(b.BaseSequence()) {
		return producerBatch{}, false, nil
	}
	if err := l.lookBackLocked(p); err != nil {
		return producerBatch{}, false, l.failed("look for earlier batches of a producer", err)
	}
	dup, again := p.duplicateOf(b)
	return dup, again, nil
}
