package javaconfig

import (
	"math/rand/v2"

	"github.com/IBM/sarama"
)

// javaPartitioner places records as the Java client does: one with a key by the murmur2 hash of the key, so that both
// clients agree; one without on a random partition that is kept until about batchSize bytes have gone there (KIP-794),
// which makes for full batches.
type javaPartitioner struct {
	keyed     sarama.Partitioner
	batchSize int

	sticky    int32 // an index into the partitions that have a leader
	of        int32 // how many there were when it was chosen
	remaining int   // bytes until the next choice
}

// NewPartitioner makes partitioners that agree with the Java client.
func NewPartitioner(batchSize int) sarama.PartitionerConstructor {
	return func(topic string) sarama.Partitioner {
		return &javaPartitioner{keyed: sarama.NewMurmur2Partitioner(topic), batchSize: max(batchSize, 1)}
	}
}

func (p *javaPartitioner) Partition(m *sarama.ProducerMessage, partitions int32) (int32, error) {
	if m.Key != nil {
		return p.keyed.Partition(m, partitions)
	}
	if p.remaining <= 0 || p.of != partitions {
		p.sticky, p.of, p.remaining = rand.Int32N(partitions), partitions, p.batchSize
	}
	p.remaining -= m.ByteSize(2)
	return p.sticky, nil
}

func (p *javaPartitioner) RequiresConsistency() bool { return true }

// MessageRequiresConsistency says whether partitions without a leader count: they do for keys.
func (p *javaPartitioner) MessageRequiresConsistency(m *sarama.ProducerMessage) bool {
	return m.Key != nil
}
