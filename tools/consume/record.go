package consume

import (
	"time"

	"github.com/IBM/sarama"
)

// Names of timestamp types, as DefaultMessageFormatter prints them.
const (
	createTime    = "CreateTime"
	logAppendTime = "LogAppendTime"
)

// A record is what formatters see of a consumed message. A nil key, value or header value is a null.
type record struct {
	topic         string
	partition     int32
	offset        int64
	timestamp     int64
	timestampType string // empty: the record has no timestamp
	headers       []header
	key, value    []byte
}

type header struct {
	key   string
	value []byte
}

// newRecord takes over what sarama has decoded. sarama does not say whose clock set a timestamp, so the topic's setting
// is passed in; a record without a timestamp (message format 0, or -1) has no type either.
func newRecord(m *sarama.ConsumerMessage, timestampType string) *record {
	r := &record{topic: m.Topic, partition: m.Partition, offset: m.Offset, timestamp: millis(m.Timestamp), key: m.Key, value: m.Value}
	if r.timestamp >= 0 {
		r.timestampType = timestampType
	}
	for _, h := range m.Headers {
		r.headers = append(r.headers, header{string(h.Key), h.Value})
	}
	return r
}

// millis undoes what sarama makes of timestamps: a negative one (-1 is "none") becomes the zero Time, to which it may
// then have added a record's delta.
func millis(t time.Time) int64 {
	if t.Year() < 1970 {
		return -1 + t.Sub(time.Time{}).Milliseconds()
	}
	return t.UnixMilli()
}
