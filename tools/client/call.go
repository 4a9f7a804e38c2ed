package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/IBM/sarama"
)

// Backoff between two tries of a call: Kafka's retry.backoff.ms and retry.backoff.max.ms.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = time.Second
)

// Call runs f with a connection to the target. Lost connections and retriable error codes are tried again until
// default.api.timeout.ms is over, which fails as Kafka's AdminClient does: with a TimeoutException that names the call.
// f gets transport errors from sarama or the Node and returns them as they are.
func (c *Cluster) Call(ctx context.Context, name string, to Target, f func(*Node) error) error {
	deadline := time.Now().Add(c.timeout)
	tries := 0
	for backoff := firstBackoff; ; backoff = min(2*backoff, lastBackoff) {
		n, err := c.node(to)
		if err == nil {
			tries++
			if err = f(n); err == nil {
				return nil
			}
			if err == error(sarama.ErrUnsupportedVersion) {
				return Unsupported(name)
			}
			err = classify(err)
			if named := new(Error); !errors.As(err, &named) {
				c.drop(n)
			} else if to.controller {
				c.controller = -1
			}
		}
		if !retriable(err) {
			return err
		}
		if until := time.Until(deadline); until < backoff {
			if err := wait(ctx, max(until, 0)); err != nil {
				return err
			}
			return timedOut(name, deadline, tries)
		}
		if err := wait(ctx, backoff); err != nil {
			return err
		}
	}
}

// Try runs f with a connection to the target once. An error that is no [Error] means that the target was not reached.
func (c *Cluster) Try(to Target, f func(*Node) error) error {
	n, err := c.node(to)
	if err != nil {
		return err
	}
	err = classify(f(n))
	if named := new(Error); err != nil && !errors.As(err, &named) {
		c.drop(n)
	}
	return err
}

func timedOut(name string, deadline time.Time, tries int) error {
	e := &Error{Class: TimeoutException, Message: "Timed out waiting for a node assignment. Call: " + name}
	if now := time.Now().UnixMilli(); tries > 0 {
		e.Message = fmt.Sprintf("Call(callName=%s, deadlineMs=%d, tries=%d, nextAllowedTryMs=%d) timed out at %d after %d attempt(s)",
			name, deadline.UnixMilli(), tries, now, now, tries)
	}
	return e
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// classify names errors that are final. What it leaves as it is came from the transport.
func classify(err error) error {
	var named *Error
	var code sarama.KError
	switch {
	case err == nil, errors.As(err, &named):
		return err
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed): // hidden from errors.As if the broker gave a reason
		code = sarama.ErrSASLAuthenticationFailed
	case !errors.As(err, &code):
		return err
	}
	var message *string
	if text, ok := strings.CutPrefix(err.Error(), code.Error()+": "); ok {
		message = &text
	}
	return FromKError(code, message)
}

// Unsupported says that the broker does not offer an API or call, whose name it spells as Java does: DESCRIBE_CONFIGS.
func Unsupported(name string) error {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return &Error{Class: UnsupportedVersion, Code: int16(sarama.ErrUnsupportedVersion), Message: "The node does not support " + b.String()}
}

// retriable reports whether the same call may succeed later: the broker was not reached, or it was the wrong one. Other
// codes that may pass are the caller's business, as in Kafka's AdminClient, which reports a missing topic at once.
func retriable(err error) bool {
	var named *Error
	if errors.As(err, &named) {
		switch sarama.KError(named.Code) {
		case sarama.ErrNotController, sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
			return true
		}
		return false
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
