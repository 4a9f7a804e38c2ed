package produce

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

// sender sends messages to one topic. Its methods are for one goroutine.
type sender struct {
	settings *javaconfig.Producer
	topic    string
	failed   func(m *sarama.ProducerMessage, err error) // called by the answering goroutine, and by send
	warn     func(message string)

	client   sarama.Client
	producer sarama.AsyncProducer // nil until the topic's partitions are known
	answers  sync.WaitGroup       // the answering goroutine
	memory   *memory

	sync bool
	// outcome is what became of a message, if sync is set. Sender: the answering goroutine; receiver: send. Only one
	// message is on its way then, so with a capacity of 1 nobody is blocked. Never closed.
	outcome chan error
}

func newSender(settings *javaconfig.Producer, topic string, sync bool, failed func(*sarama.ProducerMessage, error)) *sender {
	s := &sender{settings: settings, topic: topic, failed: failed, warn: func(string) {}, memory: newMemory(settings.BufferMemory), sync: sync,
		outcome: make(chan error, 1)}
	conf := &settings.Sarama.Producer
	if sync { // nothing more will come that would be worth lingering for
		conf.Flush.Frequency, conf.Flush.Bytes = 0, 0
	}
	conf.Retry.BackoffFunc = s.backoff
	return s
}

// send hands a message over. Failures go to failed; if the sender is synchronous they are returned instead.
func (s *sender) send(m *sarama.ProducerMessage) error {
	if err := s.connect(); err != nil {
		return s.fail(m, err)
	}
	m.Topic = s.topic
	s.memory.take(int64(m.ByteSize(2)))
	s.producer.Input() <- m
	if s.sync {
		return <-s.outcome
	}
	return nil
}

func (s *sender) fail(m *sarama.ProducerMessage, err error) error {
	if s.sync {
		return err
	}
	s.failed(m, err)
	return nil
}

// close waits for what is on its way.
func (s *sender) close() {
	if s.producer != nil {
		s.producer.AsyncClose()
		s.answers.Wait()
	}
	if s.client != nil {
		s.client.Close()
	}
}

// connect waits, max.block.ms at most, until a broker can be reached that knows where the topic's partitions are.
func (s *sender) connect() error {
	if s.producer != nil {
		return nil
	}
	deadline := time.Now().Add(s.settings.MaxBlock)
	warned := false
	for {
		err := s.tryConnect()
		if err == nil {
			return nil
		}
		var final *client.Error
		if errors.As(err, &final) {
			return err
		}
		if !warned {
			s.warn(fmt.Sprintf("%v", err))
			warned = true
		}
		if time.Until(deadline) < s.settings.Sarama.Metadata.Retry.Backoff {
			return &client.Error{Class: client.TimeoutException,
				Message: fmt.Sprintf("Topic %s not present in metadata after %d ms.", s.topic, s.settings.MaxBlock.Milliseconds())}
		}
		time.Sleep(s.settings.Sarama.Metadata.Retry.Backoff)
	}
}

// tryConnect returns a *client.Error if trying again is of no use.
func (s *sender) tryConnect() error {
	if s.client == nil {
		c, err := sarama.NewClient(s.settings.Seeds, s.settings.Sarama)
		if err != nil {
			return &client.Error{Class: client.KafkaException, Message: "Failed to construct kafka producer", Cause: err}
		}
		s.client = c
	}
	err := s.client.RefreshMetadata(s.topic)
	var code sarama.KError
	switch {
	case errors.Is(err, sarama.ErrInvalidTopic):
		return client.FromKError(sarama.ErrInvalidTopic, ptr("Invalid topics: ["+s.topic+"]"))
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return client.FromKError(sarama.ErrTopicAuthorizationFailed, ptr("Not authorized to access topics: ["+s.topic+"]"))
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed), errors.Is(err, sarama.ErrClusterAuthorizationFailed):
		errors.As(err, &code)
		return client.FromKError(code, nil)
	}
	if partitions, unknown := s.client.WritablePartitions(s.topic); err == nil && unknown != nil {
		return unknown
	} else if len(partitions) == 0 {
		return cmp.Or(err, errNoLeader)
	}
	if err := s.chooseIdempotence(); err != nil {
		return err
	}
	if s.producer, err = sarama.NewAsyncProducerFromClient(s.client); err != nil {
		return err
	}
	s.answers.Go(s.answer)
	return nil
}

var errNoLeader = errors.New("no partition has a leader")

func ptr(s string) *string { return &s }

// chooseIdempotence turns idempotence on unless nobody insists on it and the broker cannot.
func (s *sender) chooseIdempotence() error {
	conf := s.settings.Sarama
	if conf.Producer.Idempotent = s.settings.Idempotent; !conf.Producer.Idempotent || s.settings.MustBeIdempotent {
		return nil
	}
	b := s.client.LeastLoadedBroker()
	if b == nil {
		return sarama.ErrOutOfBrokers
	}
	versions, err := b.ApiVersions(&sarama.ApiVersionsRequest{Version: 3, ClientSoftwareName: "kraal", ClientSoftwareVersion: "1"})
	if err != nil {
		return err
	}
	const initProducerID = 22
	conf.Producer.Idempotent = false
	for _, k := range versions.ApiKeys {
		if k.ApiKey == initProducerID {
			conf.Producer.Idempotent = true
		}
	}
	return nil
}

// answer takes what the producer says about each message.
func (s *sender) answer() {
	successes, failures := s.producer.Successes(), s.producer.Errors()
	for successes != nil || failures != nil {
		select {
		case m, ok := <-successes:
			if !ok {
				successes = nil
				continue
			}
			s.done(m, nil)
		case f, ok := <-failures:
			if !ok {
				failures = nil
				continue
			}
			s.done(f.Msg, s.describe(f))
		}
	}
}

func (s *sender) done(m *sarama.ProducerMessage, err error) {
	s.memory.give(int64(m.ByteSize(2)))
	switch {
	case s.sync:
		s.outcome <- err
	case err != nil:
		s.failed(m, err)
	}
}

// describe names a failure as the Java client would.
func (s *sender) describe(f *sarama.ProducerError) error {
	var code sarama.KError
	var config sarama.ConfigurationError
	switch {
	case errors.As(f.Err, &code):
		return client.FromKError(code, nil)
	case errors.As(f.Err, &config):
		return client.FromKError(sarama.ErrMessageSizeTooLarge, ptr(fmt.Sprintf("The message is %d bytes when serialized which is larger than %d, "+
			"which is the value of the max.request.size configuration.", f.Msg.ByteSize(2), s.settings.MaxRequestSize)))
	}
	return &client.Error{Class: client.TimeoutException, Cause: f.Err,
		Message: fmt.Sprintf("Expiring 1 record(s) for %s-%d: %v", s.topic, f.Msg.Partition, f.Err)}
}

const longestBackoff = time.Second // retry.backoff.max.ms

// backoff waits before a retry. Java's producer does not count the time without a reachable leader as tries: a failover
// takes longer than the three tries of this tool's default. So this waits until every leader of the topic can be
// reached, for no longer than this try's share of delivery.timeout.ms.
func (s *sender) backoff(retries, most int) time.Duration {
	pause := s.settings.Sarama.Producer.Retry.Backoff
	for range min(retries-1, 10) {
		pause = min(2*pause, longestBackoff)
	}
	share := time.Now().Add(s.settings.DeliveryTimeout / time.Duration(min(max(most, 1), 10)))
	for {
		time.Sleep(pause)
		if s.leadersReachable() || time.Now().After(share) {
			return 0
		}
		pause = min(max(2*pause, time.Millisecond), longestBackoff)
	}
}

func (s *sender) leadersReachable() bool {
	if err := s.client.RefreshMetadata(s.topic); err != nil {
		return false
	}
	partitions, err := s.client.Partitions(s.topic)
	if err != nil {
		return false
	}
	for _, p := range partitions {
		leader, err := s.client.Leader(s.topic, p)
		if err != nil {
			return false
		}
		if ok, _ := leader.Connected(); !ok {
			return false
		}
	}
	return true
}

// valueSize is the length Java prints of a key or value.
func valueSize(e sarama.Encoder) string {
	if e == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes", min(e.Length(), math.MaxInt32))
}
