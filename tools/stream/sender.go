package stream

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

// Sender sends messages to one topic. Its methods are for one goroutine.
type Sender struct {
	settings *javaconfig.Producer
	topic    string
	options  SenderOptions

	client   sarama.Client
	producer sarama.AsyncProducer // nil until the topic's partitions are known
	answers  sync.WaitGroup       // the answering goroutine
	memory   *memory

	// outcome is what became of a message, with Sync. Sender: the answering goroutine; receiver: Send. Only one message is
	// on its way then, so with a capacity of 1 nobody is blocked. Never closed.
	outcome chan error
}

// SenderOptions are what the tools want to know.
type SenderOptions struct {
	Sync bool // Send waits for the acknowledgement
	// Done is told what became of each message, unless Send returns it. The answering goroutine calls it, and Send does.
	Done func(m *sarama.ProducerMessage, err error)
	Warn func(message string)
}

// NewSender prepares to send. Nobody is connected to before the first message is there.
func NewSender(settings *javaconfig.Producer, topic string, o SenderOptions) *Sender {
	s := &Sender{settings: settings, topic: topic, options: o, memory: newMemory(settings.BufferMemory), outcome: make(chan error, 1)}
	conf := settings.Sarama
	if o.Sync { // nothing more will come that would be worth lingering for
		conf.Producer.Flush.Frequency, conf.Producer.Flush.Bytes = 0, 0
	}
	conf.Producer.Transaction.ID, conf.Producer.Idempotent = settings.TransactionalID, settings.MustBeIdempotent
	conf.Producer.Retry.BackoffFunc = s.backoff
	return s
}

// Send hands a message over, and waits while too much is on its way. Failures go to Done, with Sync they are returned.
func (s *Sender) Send(m *sarama.ProducerMessage) error {
	if err := s.connect(); err != nil {
		return s.Fail(m, err)
	}
	m.Topic = s.topic
	s.memory.take(int64(m.ByteSize(2)))
	s.producer.Input() <- m
	if s.options.Sync {
		return <-s.outcome
	}
	return nil
}

// Fail is Send for a message that is known to be of no use.
func (s *Sender) Fail(m *sarama.ProducerMessage, err error) error {
	if s.options.Sync {
		return err
	}
	s.options.Done(m, err)
	return nil
}

// TooLarge is the error for a message of this size.
func (s *Sender) TooLarge(size int) error {
	return client.FromKError(sarama.ErrMessageSizeTooLarge, ptr(fmt.Sprintf("The message is %d bytes when serialized which is larger than %d, "+
		"which is the value of the max.request.size configuration.", size, s.settings.MaxRequestSize)))
}

// Begin starts a transaction.
func (s *Sender) Begin() error {
	if err := s.connect(); err != nil {
		return err
	}
	return s.producer.BeginTxn()
}

// Commit waits for all that was sent and commits the transaction.
func (s *Sender) Commit() error { return s.producer.CommitTxn() }

// Flush waits for what is on its way.
func (s *Sender) Flush() { s.memory.drain() }

// Close waits for what is on its way.
func (s *Sender) Close() {
	if s.producer != nil {
		s.producer.AsyncClose()
		s.answers.Wait()
	}
	if s.client != nil {
		s.client.Close()
	}
}

// connect waits, max.block.ms at most, until a broker can be reached that knows where the topic's partitions are.
func (s *Sender) connect() error {
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
			s.options.Warn(fmt.Sprintf("%v", err))
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
func (s *Sender) tryConnect() error {
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
func (s *Sender) chooseIdempotence() error {
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
func (s *Sender) answer() {
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

func (s *Sender) done(m *sarama.ProducerMessage, err error) {
	s.memory.give(int64(m.ByteSize(2)))
	switch {
	case s.options.Sync:
		s.outcome <- err
	default:
		s.options.Done(m, err)
	}
}

// describe names a failure as the Java client would.
func (s *Sender) describe(f *sarama.ProducerError) error {
	var code sarama.KError
	var config sarama.ConfigurationError
	switch {
	case errors.As(f.Err, &code):
		return client.FromKError(code, nil)
	case errors.As(f.Err, &config):
		return s.TooLarge(f.Msg.ByteSize(2))
	}
	return &client.Error{Class: client.TimeoutException, Cause: f.Err,
		Message: fmt.Sprintf("Expiring 1 record(s) for %s-%d: %v", s.topic, f.Msg.Partition, f.Err)}
}

// backoff waits before a retry. Java's producer does not count the time without a reachable leader as tries: a failover
// takes longer than the three tries of this tool's default. So this waits until every leader of the topic can be
// reached, for no longer than this try's share of delivery.timeout.ms.
func (s *Sender) backoff(retries, most int) time.Duration {
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

func (s *Sender) leadersReachable() bool {
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
