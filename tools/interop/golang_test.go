//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
)

func franz() client {
	return franzWith(kgo.ProducerBatchMaxBytes(1_000_000))
}

func franzWith(option kgo.Opt) client {
	return client{name: "franz-go", consume: franzConsume, produce: func(ctx context.Context, e *environment, topic, codec string, records []record) error {
		return franzProduce(ctx, e, topic, codec, records, option)
	}}
}

func franzProduce(ctx context.Context, e *environment, topic, codec string, records []record, option kgo.Opt) error {
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codecs[codec]),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), option)
	if err != nil {
		return err
	}
	defer c.Close()
	var mu sync.Mutex
	var first error
	for i, r := range records {
		k := &kgo.Record{Key: r.key, Value: r.value, Partition: int32(i % partitions)}
		for _, h := range r.headers {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.key, Value: h.value})
		}
		c.Produce(ctx, k, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		})
	}
	if err := c.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return first
}

func franzConsume(ctx context.Context, e *environment, topic string, count int) ([]placed, error) {
	from := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().AtStart()
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var got []placed
	for len(got) < count {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return got, fmt.Errorf("after %d records: %w", len(got), err)
		}
		for _, err := range fetches.Errors() {
			return got, fmt.Errorf("after %d records: partition %d: %w", len(got), err.Partition, err.Err)
		}
		fetches.EachRecord(func(k *kgo.Record) {
			r := placed{partition: k.Partition, offset: k.Offset, record: record{key: k.Key, value: k.Value}}
			for _, h := range k.Headers {
				r.headers = append(r.headers, header{h.Key, h.Value})
			}
			got = append(got, r)
		})
	}
	return got, nil
}

func saramaClient() client {
	return client{name: "sarama", produce: saramaProduce, consume: saramaConsume}
}

func saramaProduce(ctx context.Context, e *environment, topic, codec string, records []record) error {
	codecs := map[string]sarama.CompressionCodec{"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD}
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	conf.Producer.RequiredAcks = sarama.WaitForAll
	conf.Producer.Compression = codecs[codec]
	conf.Producer.Partitioner = sarama.NewManualPartitioner
	conf.Producer.Return.Successes = true
	producer, err := sarama.NewAsyncProducer([]string{e.bootstrap}, conf)
	if err != nil {
		return err
	}
	go func() {
		for i, r := range records {
			m := &sarama.ProducerMessage{Topic: topic, Partition: int32(i % partitions)}
			if r.key != nil {
				m.Key = sarama.ByteEncoder(r.key)
			}
			if r.value != nil {
				m.Value = sarama.ByteEncoder(r.value)
			}
			for _, h := range r.headers {
				m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
			}
			producer.Input() <- m
		}
	}()
	defer producer.Close()
	for range records {
		select {
		case <-producer.Successes():
		case err := <-producer.Errors():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func saramaConsume(ctx context.Context, e *environment, topic string, count int) ([]placed, error) {
	conf := sarama.NewConfig()
	conf.Version = sarama.V2_8_0_0
	consumer, err := sarama.NewConsumer([]string{e.bootstrap}, conf)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage, 1000)
	for p := range int32(partitions) {
		pc, err := consumer.ConsumePartition(topic, p, sarama.OffsetOldest)
		if err != nil {
			return nil, err
		}
		defer pc.Close()
		go func() {
			for m := range pc.Messages() {
				select {
				case messages <- m:
				case <-ctx.Done():
				}
			}
		}()
	}
	var got []placed
	for len(got) < count {
		select {
		case m := <-messages:
			r := placed{partition: m.Partition, offset: m.Offset, record: record{key: m.Key, value: m.Value}}
			for _, h := range m.Headers {
				r.headers = append(r.headers, header{string(h.Key), h.Value})
			}
			got = append(got, r)
		case <-ctx.Done():
			return got, errors.Join(fmt.Errorf("after %d records", len(got)), ctx.Err())
		}
	}
	return got, nil
}
