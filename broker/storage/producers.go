package storage

// ProducerState is what DescribeProducers tells of one producer.
type ProducerState struct {
	ProducerID       int64
	ProducerEpoch    int16
	LastSequence     int32 // -1: none
	LastTimestamp    int64
	CoordinatorEpoch int32
	TxnStartOffset   int64 // -1: no transaction open
}

// ActiveProducers lists the known producers in the order of their ids.
func (l *Log) ActiveProducers() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := l.mu.producers.sorted()
	states := make([]ProducerState, len(sorted))
	for i, p := range sorted {
		states[i] = ProducerState{p.id, p.epoch, p.lastSequence(), p.lastTimestamp, p.coordinatorEpoch, p.txnStart}
	}
	return states
}

// Producers is how many producers are known, and since when (the time of its last record) the oldest open transaction has been
// waiting, -1 if none is open. It is false while the log is being written to, which it does not wait for.
func (l *Log) Producers() (n int, oldestTxn int64, ok bool) {
	if !l.mu.TryLock() {
		return 0, -1, false
	}
	defer l.mu.Unlock()
	oldestTxn = -1
	first := int64(noOffset)
	if l.txns.firstUnstable.Load() != noOffset {
		for _, p := range l.mu.producers.byID {
			if p.txnStart >= 0 && p.txnStart < first {
				first, oldestTxn = p.txnStart, p.lastTimestamp
			}
		}
	}
	return len(l.mu.producers.byID), oldestTxn, true
}

// HasOpenTxn says whether the producer has a transaction open in this log.
func (l *Log) HasOpenTxn(producerID int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.mu.producers.byID[producerID]
	return p != nil && p.txnStart >= 0
}

// StartVerification begins the verification of a producer's transaction before its first batch (KIP-890). It returns
// the zero guard if a transaction is open already and nothing needs verifying. The guard is valid until a
// transactional batch of the producer or a marker is appended; asked for again before that, it is the same.
func (l *Log) StartVerification(producerID int64, producerEpoch int16, baseSequence int32) VerificationGuard {
	l.mu.Lock()
	defer l.mu.Unlock()
	ps := &l.mu.producers
	if p := ps.byID[producerID]; p != nil && p.txnStart >= 0 {
		return VerificationGuard{}
	}
	v := ps.verifying[producerID]
	if v == nil {
		if ps.verifying == nil {
			ps.verifying = make(map[int64]*verification)
		}
		v = &verification{guard: VerificationGuard{l.env.nextGuardID.Add(1)}, startedMs: l.env.nowMs(),
			epoch: producerEpoch, lowest: baseSequence}
		ps.verifying[producerID] = v
	}
	// The lowest sequence in flight goes first: see producer.checkSequence.
	switch {
	case producerEpoch == v.epoch:
		v.lowest = min(v.lowest, baseSequence)
	case producerEpoch > v.epoch:
		v.epoch, v.lowest = producerEpoch, baseSequence
	}
	return v.guard
}
