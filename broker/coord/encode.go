package coord

import (
	"errors"
	"fmt"

	"github.com/kraal-mq/kraal/broker/record"
)

// Encode appends b, as it goes into a log, to dst. Offsets and leader epoch are for the log to set. The codec is for plain
// batches and those of producers alike.
func (b *Batch) Encode(dst []byte, codec record.Codec) ([]byte, error) {
	o := record.BuilderOptions{PartitionLeaderEpoch: record.NoLeaderEpoch, Codec: codec, Transactional: b.Transactional}
	if b.ProducerID != NoProducer {
		o.Producer = &record.ProducerInfo{ID: b.ProducerID, Epoch: b.ProducerEpoch, BaseSequence: 0}
	}
	var build record.Builder
	build.Reset(dst, o)
	for i := range b.Records {
		r := &b.Records[i]
		build.Append(r.Timestamp, r.Key, r.Value)
	}
	if _, err := build.Build(); err != nil {
		if errors.Is(err, record.ErrMessageTooLarge) {
			err = ErrTooLarge
		}
		return dst, fmt.Errorf("encode %d records: %w", len(b.Records), err)
	}
	return build.Buffer(), nil
}
