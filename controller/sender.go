package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Sender carries one request to one broker and brings its answer back.
//
// The request's version is set already and must not be negotiated: in ZooKeeper mode inter.broker.protocol.version
// dictates it. At most one Send per broker and life (meta.Broker.Epoch) is under way at a time. An error means that the
// outcome is unknown: the connection must be closed, and the same request is sent again after a pause. Send returns soon
// after ctx ends, which is how the controller stops talking to a broker that is gone.
//
// The address is the one of the control-plane listener if there is one, else of the inter-broker listener, in to.Endpoints.
// kmsg's StopReplica version 4 has two fields in another order than Kafka's: who encodes it has to see to that. Neither the
// request nor what it refers to may be changed: requests to several brokers share parts.
type Sender interface {
	Send(ctx context.Context, to meta.Broker, req kmsg.Request) (kmsg.Response, error)
}

// outbox sends requests to one life of one broker, one at a time and in order. A request that cannot be delivered is
// sent again until it is, or until the broker is gone or the term over: receivers must bear with repetition anyway, and
// skipping one could leave a replica without its leader for good.
type outbox struct {
	sender  Sender
	mayAct  func() bool                 // see Options.MayAct
	to      atomic.Pointer[meta.Broker] // replaced when the broker changes its endpoints in place
	backoff time.Duration
	log     *zap.Logger
	leaving atomic.Bool         // the broker is about to stop
	retries func()              // counts them
	waited  func(time.Duration) // is told for how long a letter lay here; called under mu
	// answered hands over an answer. Called by run; must not block.
	answered func(letter, kmsg.Response)
	// cancel ends run; what is queued is dropped.
	cancel context.CancelFunc

	mu struct {
		sync.Mutex
		letters []letter
	}
	// wake says "look again". Senders: put; receiver: run; never closed. Capacity 1: one signal covers any number of letters.
	wake chan struct{}
}

// letter is a request in an outbox.
type letter struct {
	request  kmsg.Request
	posted   time.Time
	deleting []*partition // of a StopReplica: whose deletion the answer tells of
}

// put queues a request. Called by the loop; never waits.
func (o *outbox) put(r kmsg.Request, deleting []*partition) {
	o.mu.Lock()
	o.mu.letters = append(o.mu.letters, letter{request: r, posted: time.Now(), deleting: deleting})
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) take() (letter, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.mu.letters) == 0 {
		return letter{}, false
	}
	l := o.mu.letters[0]
	o.mu.letters[0] = letter{}
	if o.mu.letters = o.mu.letters[1:]; len(o.mu.letters) == 0 {
		o.mu.letters = nil // let the backing array go
	}
	o.waited(time.Since(l.posted))
	return l, true
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.mu.letters)
}

// run delivers until ctx ends.
func (o *outbox) run(ctx context.Context) {
	for {
		for l, ok := o.take(); ok; l, ok = o.take() {
			answer, ok := o.deliver(ctx, l.request)
			if !ok {
				return
			}
			o.answered(l, answer)
		}
		select {
		case <-o.wake:
		case <-ctx.Done():
			return
		}
	}
}

// deliver sends one request until it is answered. False: ctx ended first.
func (o *outbox) deliver(ctx context.Context, r kmsg.Request) (kmsg.Response, bool) {
	for try := 0; ; try++ {
		for !o.mayAct() {
			if !o.pause(ctx) {
				return nil, false
			}
		}
		if ctx.Err() != nil {
			return nil, false
		}
		to := o.to.Load()
		answer, err := o.sender.Send(ctx, *to, r)
		if err == nil {
			if try > 0 {
				o.log.Info("reached the broker again", zap.Int32("broker", int32(to.ID)), zap.Int("tries", try+1))
			}
			return answer, true
		}
		if ctx.Err() != nil {
			return nil, false
		}
		o.retries()
		if try == 0 {
			level := zap.WarnLevel
			if o.leaving.Load() {
				level = zap.DebugLevel // it is gone, and its registration soon will be
			}
			o.log.Log(level, "cannot reach the broker, trying again", zap.Int32("broker", int32(to.ID)),
				zap.String("request", kmsg.NameForKey(r.Key())), zap.Error(err))
		}
		if !o.pause(ctx) {
			return nil, false
		}
	}
}

// pause waits before another try. False: ctx ended.
func (o *outbox) pause(ctx context.Context) bool {
	pause := time.NewTimer(o.backoff)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-ctx.Done():
		return false
	}
}
