package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// loggedPartition is a partition in the log: a topic and a number, as everywhere.
type loggedPartition meta.TopicPartition

// MarshalLogObject implements [zapcore.ObjectMarshaler].
func (p loggedPartition) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("topic", p.Topic)
	e.AddInt32("partition", p.Partition)
	return nil
}

func partitionField(tp meta.TopicPartition) zap.Field { return zap.Inline(loggedPartition(tp)) }

// codeField is an error code that a broker answered with.
func codeField(code int16) zap.Field { return zap.Error(kerr.ErrorForCode(code)) }

// brokersField is a list of brokers, left out if there are none.
func brokersField(key string, ids []meta.BrokerID) zap.Field {
	if len(ids) == 0 {
		return zap.Skip()
	}
	return zap.Any(key, ids)
}
