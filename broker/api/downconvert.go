package api

import (
	"bytes"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/fetchsession"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
)

// storesZstd reports whether a topic recompresses everything with zstd, which fetches below version 10 cannot read.
func (h *Handler) storesZstd(topic string) bool {
	return h.Topics.TopicOverrides(topic)["compression.type"] == "zstd"
}

// downConvert rewrites what was read for a client that knows only message format 0 (versions 0 and 1) or 1 (2 and 3).
// The result is held in memory; it is no longer than what was read, which the limits of the fetch bound.
func (f *fetching) downConvert(p *fetchsession.Partition, r *replica.Fetched) ([]byte, wire.Code) {
	to := record.Magic1
	if f.req.Version < 2 {
		to = record.Magic0
	}
	c, err := record.NewDownConversion(r.Data.Slice, int64(r.Data.Slice.Len), to, p.FetchOffset)
	if err != nil {
		return nil, f.h.code(err)
	}
	defer c.Close()
	began := time.Now()
	var out bytes.Buffer
	out.Grow(c.Len())
	if _, err := c.WriteTo(&out); err != nil {
		if !errors.Is(err, record.ErrCorrupt) {
			f.h.Logger.Error("records could not be converted for an old client", zap.String("topic", p.Topic), zap.Int32("partition", p.Partition), zap.Error(err))
		}
		return nil, f.h.code(err)
	}
	f.h.metrics.conversions.With("Fetch").Took(time.Since(began))
	f.h.Replicas.TopicMetrics(p.Topic).Count(replica.FetchConversions, c.Records())
	return out.Bytes(), wire.None
}
