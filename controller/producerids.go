package controller

import "fmt"

// handle takes the next block of producer ids for a broker (KIP-730). Losing a block is harmless, handing one out twice is
// not: the znode's version sees to that, with or without a fence.
func (e *allocateProducerIDs) handle(t *term) error {
	switch b := t.state.brokers[e.broker]; {
	case b == nil:
		e.answer.refuse(ErrBrokerIDNotRegistered)
		return nil
	case b.Epoch != e.epoch:
		e.answer.refuse(ErrStaleBrokerEpoch)
		return nil
	}
	block, err := t.store.AllocateProducerIDs(t.ctx, e.broker)
	if err != nil {
		return harmless{fmt.Errorf("allocate producer ids: %w", err)}
	}
	e.answer.give(ProducerIDBlock{Start: block.First, Length: int32(block.Last - block.First + 1)})
	return nil
}
