package controller

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Options is what a Controller is made of. Store is not among it: a ZooKeeper session can end while the controller lives
// on, so each one is handed over with [Controller.Attach].
type Options struct {
	BrokerID meta.BrokerID // of this broker
	Sender   Sender
	Config   Config
	// MayAct says whether this broker's ZooKeeper session is certain to be alive. While it is not, another controller may have
	// been elected: no question is answered and nothing is sent, until the session is known to have lived on or Detach is
	// called. What is written to ZooKeeper is fenced anyhow. nil: always.
	MayAct  func() bool
	Logger  *zap.Logger
	Metrics prometheus.Registerer // may be nil
}

// Config holds the broker settings the controller goes by. Zero durations and percentages mean Kafka's defaults.
type Config struct {
	// Protocol is what inter.broker.protocol.version decides; see [ParseProtocol].
	Protocol Protocol
	// InterBrokerListener names the endpoint of a leader that its followers are told to fetch from.
	InterBrokerListener string
	// DeleteTopicEnable is delete.topic.enable. When false, deletion markers are removed without deleting anything.
	DeleteTopicEnable bool
	// AutoLeaderRebalanceEnable is auto.leader.rebalance.enable.
	AutoLeaderRebalanceEnable bool
	// LeaderImbalanceCheckInterval is leader.imbalance.check.interval.seconds (300 s).
	LeaderImbalanceCheckInterval time.Duration
	// LeaderImbalancePerBrokerPercentage is leader.imbalance.per.broker.percentage.
	LeaderImbalancePerBrokerPercentage int
	// UncleanLeaderElectionEnable returns the broker's present default of unclean.leader.election.enable, which can be
	// changed at run time. Topics override it in ZooKeeper. Called by the loop; nil means false.
	UncleanLeaderElectionEnable func() bool
	// RetryBackoff is the pause before a request is sent again to a broker that could not be reached (100 ms).
	RetryBackoff time.Duration
}

// Controller is one broker's controller, active or standing by.
type Controller struct {
	opts    Options
	log     *zap.Logger
	metrics *metrics

	queue *queue

	// Published by the loop for whoever asks without waiting.
	active       atomic.Bool
	controllerID atomic.Int32                        // who holds /controller as far as this broker knows; -1 nobody
	deleting     atomic.Pointer[map[string]struct{}] // topics queued for deletion; nil: none or not active

	session atomic.Pointer[session] // the ZooKeeper session in use, ended by Detach
}

// session is one attached ZooKeeper session.
type session struct {
	store  Store
	ctx    context.Context // ends when the session is known to be gone
	cancel context.CancelFunc
}

// New returns a controller that does nothing until [Controller.Run].
func New(o Options) *Controller {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Config.LeaderImbalanceCheckInterval <= 0 {
		o.Config.LeaderImbalanceCheckInterval = 5 * time.Minute
	}
	if o.Config.RetryBackoff <= 0 {
		o.Config.RetryBackoff = 100 * time.Millisecond
	}
	if o.MayAct == nil {
		o.MayAct = func() bool { return true }
	}
	if o.Config.UncleanLeaderElectionEnable == nil {
		o.Config.UncleanLeaderElectionEnable = func() bool { return false }
	}
	c := &Controller{opts: o, log: o.Logger}
	c.metrics = newMetrics(c, o.Metrics)
	c.queue = newQueue(c.metrics.waited.Took)
	c.controllerID.Store(int32(meta.NoBroker))
	return c
}

// Run handles events until ctx ends, then resigns and returns nil once everything it started has ended. It does not delete
// /controller: that goes with the session, which the caller closes next.
func (c *Controller) Run(ctx context.Context) error {
	newLoop(c).run(ctx)
	return nil
}

// Attach gives the controller a ZooKeeper session to campaign in. Call it once this broker is registered in that session:
// a controller that wins must find itself among the live brokers.
func (c *Controller) Attach(store Store) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{store: store, ctx: ctx, cancel: cancel}
	if old := c.session.Swap(s); old != nil {
		old.cancel()
	}
	c.queue.put(&sessionStarted{session: s})
}

// Detach takes back the session, because it expired or is about to be closed. Everything queued is dropped (questions
// are answered ErrNotController), and Detach returns when the controller has resigned. Only then may the broker connect
// again: a new life of the broker must not begin while its old one still acts as controller.
func (c *Controller) Detach() {
	s := c.session.Swap(nil)
	if s == nil {
		return
	}
	s.cancel() // whatever the loop is waiting for in ZooKeeper ends now
	done := make(chan struct{})
	if !c.queue.clearAndPut(&sessionEnded{session: s, done: done}) {
		return // Run has ended, and with it the term
	}
	<-done
}

// IsActive reports whether this broker is the active controller. It may be out of date when it returns: only the
// fence on every write is proof.
func (c *Controller) IsActive() bool { return c.active.Load() && c.opts.MayAct() }

// ControllerID returns the broker that held /controller when this one last looked, or meta.NoBroker.
func (c *Controller) ControllerID() meta.BrokerID { return meta.BrokerID(c.controllerID.Load()) }

// TopicDeleting reports whether the active controller has the topic queued for deletion. False on other brokers.
func (c *Controller) TopicDeleting(topic string) bool {
	d := c.deleting.Load()
	if d == nil {
		return false
	}
	_, queued := (*d)[topic]
	return queued
}

// UncleanElectionEnabled tells the active controller that unclean.leader.election.enable turned true, for one topic or,
// with an empty name, for the broker's default: leaderless partitions are tried again. A no-op elsewhere.
func (c *Controller) UncleanElectionEnabled(topic string) {
	c.queue.put(&uncleanElectionEnabled{topic: topic})
}
