package stream

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

// A Source brings records.
type Source interface {
	// Run sends batches until ctx is done, and then returns nil, or until it cannot go on. When it returns, all it started
	// has ended.
	Run(ctx context.Context, out chan<- Batch) error
}

// Batch is what a partition has brought. Consumed, if not nil, is to be called with each message that was dealt with, in
// order.
type Batch struct {
	Messages []*sarama.ConsumerMessage
	Consumed func(*sarama.ConsumerMessage)
}

// SourceOptions say what to read.
type SourceOptions struct {
	Selection Selection
	Group     string // join this group; the following two are for reading without one
	Partition *int32 // nil for all
	Offset    int64  // where to start: an offset, sarama.OffsetOldest or OffsetNewest

	Assigned func() // called when partitions to read have been found or assigned; may be nil
	Warn     func(message string)
}

// NewSource prepares to read.
func NewSource(settings *javaconfig.Consumer, o SourceOptions) Source {
	if o.Assigned == nil {
		o.Assigned = func() {}
	}
	if o.Group != "" {
		return &grouped{settings: settings, SourceOptions: o}
	}
	return &direct{settings: settings, SourceOptions: o}
}

// Selection is which topics are read: one by name, or all that match.
type Selection struct {
	topic   string
	matches *regexp.Regexp // nil with topic
}

// NewSelection takes a topic, or an expression that has to match the whole name.
func NewSelection(topic, include string) (Selection, error) {
	if topic != "" {
		return Selection{topic: topic}, nil
	}
	matches, err := regexp.Compile(`\A(?:` + include + `)\z`)
	if err != nil {
		return Selection{}, &client.Error{Class: "java.util.regex.PatternSyntaxException", Message: err.Error()}
	}
	return Selection{matches: matches}, nil
}

// topics asks the cluster what there is. An error that is no *client.Error may pass.
func (s Selection) topics(c sarama.Client) ([]string, error) {
	if s.matches == nil {
		if err := c.RefreshMetadata(s.topic); err != nil && !errors.Is(err, sarama.ErrLeaderNotAvailable) {
			return nil, named(err, s.topic)
		}
		return []string{s.topic}, nil
	}
	if err := c.RefreshMetadata(); err != nil && !errors.Is(err, sarama.ErrLeaderNotAvailable) {
		return nil, named(err, "")
	}
	all, err := c.Topics()
	if err != nil {
		return nil, err
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(t string) bool { return client.IsInternal(t) || !s.matches.MatchString(t) }), nil
}

// named turns failures that will not pass into *client.Error.
func named(err error, topic string) error {
	switch {
	case errors.Is(err, sarama.ErrInvalidTopic):
		return final(sarama.ErrInvalidTopic, "Invalid topics: ["+topic+"]")
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return final(sarama.ErrTopicAuthorizationFailed, "Not authorized to access topics: ["+topic+"]")
	}
	for _, code := range []sarama.KError{sarama.ErrSASLAuthenticationFailed, sarama.ErrClusterAuthorizationFailed, sarama.ErrGroupAuthorizationFailed,
		sarama.ErrFencedInstancedId, sarama.ErrInvalidSessionTimeout, sarama.ErrInconsistentGroupProtocol, sarama.ErrInvalidGroupId} {
		if errors.Is(err, code) {
			return client.FromKError(code, nil)
		}
	}
	return err
}

func final(code sarama.KError, message string) error { return client.FromKError(code, &message) }

func isFinal(err error) bool {
	var e *client.Error
	return errors.As(err, &e)
}

// pause waits, or returns false when ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// backoff gives growing pauses: Java's retry.backoff.ms up to retry.backoff.max.ms.
type backoff struct{ first, next time.Duration }

const longestBackoff = time.Second // retry.backoff.max.ms

func (b *backoff) more() time.Duration {
	d := max(b.next, b.first)
	b.next = min(2*d, max(longestBackoff, b.first))
	return d
}

func (b *backoff) reset() { b.next = 0 }

// takeMore drains what is there already behind first, up to a bound, so that the printing loop is woken less often.
func takeMore(first *sarama.ConsumerMessage, from <-chan *sarama.ConsumerMessage) []*sarama.ConsumerMessage {
	const most = 200
	messages := append(make([]*sarama.ConsumerMessage, 0, 16), first)
	for len(messages) < most {
		select {
		case m, ok := <-from:
			if !ok {
				return messages
			}
			messages = append(messages, m)
		default:
			return messages
		}
	}
	return messages
}

func name(topic string, partition int32) string { return fmt.Sprintf("%s-%d", topic, partition) }
