package zkstore

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ProducerIDBlockSize is how many ids one block holds.
const ProducerIDBlockSize = 1000

// ProducerIDBlock is a range of producer ids given to one broker.
type ProducerIDBlock struct {
	Broker      meta.BrokerID
	First, Last int64 // both inclusive, as in the znode
}

// AllocateProducerIDs takes the next block of ids for a broker. A block whose answer was lost is found to be ours by reading
// it back, or is never used.
func (z *Store) AllocateProducerIDs(ctx context.Context, broker meta.BrokerID) (ProducerIDBlock, error) {
	for {
		n, err := z.s.get(ctx, producerIDsPath)
		if errors.Is(err, ErrNoNode) {
			if err := z.s.ensure(ctx, producerIDsPath); err != nil {
				return ProducerIDBlock{}, err
			}
			continue
		}
		if err != nil {
			return ProducerIDBlock{}, err
		}
		next := ProducerIDBlock{Broker: broker}
		if n.data != nil {
			taken, err := decodeProducerIDBlock(n.data)
			if err != nil {
				return ProducerIDBlock{}, unreadable(producerIDsPath, err)
			}
			if taken.Last > math.MaxInt64-ProducerIDBlockSize {
				return ProducerIDBlock{}, fmt.Errorf("producer ids are used up: the last block ends at %d", taken.Last)
			}
			next.First = taken.Last + 1
		}
		next.Last = next.First + ProducerIDBlockSize - 1
		if _, err = z.s.set(ctx, producerIDsPath, encodeProducerIDBlock(next), n.stat.Version); !errors.Is(err, ErrBadVersion) {
			return next, err
		}
	}
}

// encodeProducerIDBlock writes {"version":1,"broker":2,"block_start":"3000","block_end":"3999"}.
func encodeProducerIDBlock(p ProducerIDBlock) []byte {
	b := appendInt([]byte(`{"version":1,"broker":`), p.Broker)
	b = appendInt(append(b, `,"block_start":"`...), p.First)
	b = appendInt(append(b, `","block_end":"`...), p.Last)
	return append(b, `"}`...)
}

func decodeProducerIDBlock(data []byte) (p ProducerIDBlock, err error) {
	o, err := parseObject(data)
	if err != nil {
		return p, err
	}
	if p.Broker, err = mandatory(o, "broker", asInt[meta.BrokerID](32)); err != nil {
		return p, err
	}
	if p.First, err = mandatory(o, "block_start", asDecimal); err != nil {
		return p, err
	}
	if p.Last, err = mandatory(o, "block_end", asDecimal); err != nil {
		return p, err
	}
	if p.First < 0 || p.Last < p.First {
		return p, fmt.Errorf("block from %d to %d", p.First, p.Last)
	}
	return p, nil
}
