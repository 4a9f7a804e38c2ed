package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ProducerIDBlockSize is how many ids one block holds.
const ProducerIDBlockSize = 1000

// ProducerIDBlock is a range of producer ids given to one broker.
type ProducerIDBlock struct {
	Broker      meta.BrokerID
	First, Last int64 // both inclusive, as in the znode
}

// AllocateProducerIDs takes the next block of ids for a broker.
func (z *Store) AllocateProducerIDs(ctx context.Context, broker meta.BrokerID) (ProducerIDBlock, error) {
	return ProducerIDBlock{}, errPending
}
