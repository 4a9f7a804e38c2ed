package consume

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
)

// A source brings records.
type source interface {
	// run sends batches until ctx is done, and then returns nil, or until it cannot go on. When it returns, all it
	// started has ended.
	run(ctx context.Context, out chan<- batch) error
}

// batch is what a partition has brought. consumed, if not nil, is to be called with each message that was printed, in
// order.
type batch struct {
	messages []*sarama.ConsumerMessage
	consumed func(*sarama.ConsumerMessage)
}

// selection is which topics are read: one by name, or all that match.
type selection struct {
	topic   string
	matches *regexp.Regexp // nil with topic
}

// newSelection takes a topic, or an expression that has to match the whole name.
func newSelection(topic, include string) (selection, error) {
	if topic != "" {
		return selection{topic: topic}, nil
	}
	matches, err := regexp.Compile(`\A(?:` + include + `)\z`)
	if err != nil {
		return selection{}, &client.Error{Class: "java.util.regex.PatternSyntaxException", Message: err.Error()}
	}
	return selection{matches: matches}, nil
}

// topics asks the cluster what there is. An error that is no *client.Error may pass.
func (s selection) topics(c sarama.Client) ([]string, error) {
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

const longestBackoff = time.Second

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
