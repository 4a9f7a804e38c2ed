package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

// direct reads every partition of the selected topics, or one, without a group.
type direct struct {
	SourceOptions
	settings *javaconfig.Consumer

	client   sarama.Client
	consumer sarama.Consumer
	out      chan<- Batch

	mu struct {
		sync.Mutex
		failure error // of the first partition that cannot go on
	}
	stop      context.CancelFunc
	followers sync.WaitGroup
}

type topicPartition struct {
	topic     string
	partition int32
}

func (d *direct) Run(ctx context.Context, out chan<- Batch) (err error) {
	if d.client, err = sarama.NewClient(d.settings.Seeds, d.settings.Sarama); err != nil {
		return &client.Error{Class: client.KafkaException, Message: "Failed to construct kafka consumer", Cause: err}
	}
	defer d.client.Close()
	if d.consumer, err = sarama.NewConsumerFromClient(d.client); err != nil {
		return err
	}
	d.out = out
	ctx, d.stop = context.WithCancel(ctx)
	defer d.stop()
	err = d.discover(ctx)
	d.stop()
	d.followers.Wait()
	d.consumer.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.failure != nil {
		return d.mu.failure
	}
	return err
}

// discover starts to follow each partition that shows up, now and whenever metadata gets old.
func (d *direct) discover(ctx context.Context) error {
	followed := map[topicPartition]bool{}
	retry := backoff{first: d.settings.Retry}
	warned := false
	for {
		found, err := d.partitions()
		if isFinal(err) {
			return err
		}
		if err != nil && !warned {
			d.Warn(err.Error())
		}
		warned = err != nil
		if len(followed) == 0 && len(found) > 0 {
			d.Assigned()
		}
		for _, tp := range found {
			if !followed[tp] {
				followed[tp] = true
				d.followers.Go(func() { d.follow(ctx, tp) })
			}
		}
		wait := d.settings.Sarama.Metadata.RefreshFrequency
		if err != nil || len(followed) == 0 {
			wait = retry.more()
		} else {
			retry.reset()
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

func (d *direct) partitions() ([]topicPartition, error) {
	topics, err := d.Selection.topics(d.client)
	if err != nil {
		return nil, err
	}
	if d.Partition != nil {
		return []topicPartition{{d.Selection.topic, *d.Partition}}, nil
	}
	var all []topicPartition
	for _, topic := range topics {
		partitions, err := d.client.Partitions(topic)
		if err != nil {
			return all, err
		}
		for _, p := range partitions {
			all = append(all, topicPartition{topic, p})
		}
	}
	return all, nil
}

// follow reads one partition until ctx is done.
func (d *direct) follow(ctx context.Context, tp topicPartition) {
	at := d.Offset
	retry := backoff{first: d.settings.Retry}
	for {
		pc, err := d.consumer.ConsumePartition(tp.topic, tp.partition, at)
		if err == nil {
			before := at
			at, err = d.forward(ctx, pc, at)
			if at != before {
				retry.reset()
			}
		}
		switch {
		case errors.Is(err, sarama.ErrOffsetOutOfRange):
			if at, err = d.reset(tp, at); err != nil {
				d.fail(err)
				return
			}
		case isFinal(named(err, tp.topic)):
			d.fail(named(err, tp.topic))
			return
		}
		if ctx.Err() != nil || !pause(ctx, retry.more()) {
			return
		}
	}
}

// forward passes on what a partition brings, from offset at on. It returns when ctx is done or sarama has given up, with
// the offset to go on from and the reason.
func (d *direct) forward(ctx context.Context, pc sarama.PartitionConsumer, at int64) (next int64, err error) {
	defer func() {
		pc.AsyncClose()
		for range pc.Messages() {
		}
		for range pc.Errors() {
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return at, nil
		case failure, ok := <-pc.Errors():
			if !ok {
				return at, err
			}
			if err = failure.Err; isFinal(named(err, "")) {
				return at, err
			}
			// sarama tries again, or closes its channels if that is of no use
		case m, ok := <-pc.Messages():
			if !ok {
				for failure := range pc.Errors() {
					err = failure.Err
				}
				return at, err
			}
			b := Batch{Messages: takeMore(m, pc.Messages())}
			at = b.Messages[len(b.Messages)-1].Offset + 1
			select {
			case d.out <- b:
			case <-ctx.Done():
				return at, nil
			}
		}
	}
}

// reset applies auto.offset.reset to an offset that the log does not have.
func (d *direct) reset(tp topicPartition, at int64) (int64, error) {
	switch d.settings.Reset {
	case "earliest":
		return sarama.OffsetOldest, nil
	case "latest":
		return sarama.OffsetNewest, nil
	}
	return 0, &client.Error{Class: "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
		Message: fmt.Sprintf("Fetch position %d is out of range for partition %s", at, name(tp.topic, tp.partition))}
}

// fail ends everything.
func (d *direct) fail(err error) {
	d.mu.Lock()
	if d.mu.failure == nil {
		d.mu.failure = err
	}
	d.mu.Unlock()
	d.stop()
}
