package controller

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// metrics are the controller's own. Gauges are 0 on a controller that is not active.
type metrics struct {
	gauges  atomic.Pointer[gauges]
	unclean prometheus.Counter
	retries prometheus.Counter
	events  *prometheus.HistogramVec // by event
}

// gauges are counted by the loop when it runs out of events, so that reading them disturbs nobody.
type gauges struct {
	brokers, topics, partitions, offline, imbalanced          int
	topicsToDelete, topicsIneligible, replicasToDelete, moves int
	queued                                                    int // requests in outboxes
}

func newMetrics(c *Controller, r prometheus.Registerer) *metrics {
	m := &metrics{
		unclean: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kraal_controller_unclean_elections_total",
			Help: "Leaders elected from outside the ISR.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kraal_controller_request_retries_total",
			Help: "Requests to brokers that could not be delivered and were tried again.",
		}),
		events: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kraal_controller_event_seconds",
			Help:    "Time to handle one event, by event.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"event"}),
	}
	m.gauges.Store(&gauges{})
	if r == nil {
		return m
	}
	r.MustRegister(m.unclean, m.retries, m.events)
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kraal_controller_" + name, Help: help}, value))
	}
	count := func(name, help string, of func(*gauges) int) {
		gauge(name, help, func() float64 { return float64(of(m.gauges.Load())) })
	}
	gauge("active", "1 while this broker is the active controller.", func() float64 {
		if c.IsActive() {
			return 1
		}
		return 0
	})
	gauge("event_queue_length", "Events waiting for the loop.", func() float64 { return float64(c.queue.len()) })
	count("outbox_length", "Requests waiting to be sent to brokers.", func(g *gauges) int { return g.queued })
	count("brokers", "Registered brokers, those shutting down included.", func(g *gauges) int { return g.brokers })
	count("topics", "Topics.", func(g *gauges) int { return g.topics })
	count("partitions", "Partitions that have or had a leader.", func(g *gauges) int { return g.partitions })
	count("offline_partitions", "Partitions without a live leader.", func(g *gauges) int { return g.offline })
	count("preferred_replica_imbalance", "Partitions not led by their preferred replica.", func(g *gauges) int { return g.imbalanced })
	count("reassigning_partitions", "Partitions being reassigned.", func(g *gauges) int { return g.moves })
	count("topics_to_delete", "Topics queued for deletion.", func(g *gauges) int { return g.topicsToDelete })
	count("topics_ineligible_to_delete", "Topics queued for deletion that have to wait.", func(g *gauges) int { return g.topicsIneligible })
	count("replicas_to_delete", "Replicas of such topics that are not deleted yet.", func(g *gauges) int { return g.replicasToDelete })
	return m
}

func (m *metrics) handled(e event, took time.Duration) {
	m.events.WithLabelValues(e.name()).Observe(took.Seconds())
}

// countEvery keeps the gauges from costing more than the work they tell of: counting looks at every partition.
const countEvery = 500 * time.Millisecond

// publish counts what the gauges tell, now or, if that was done only a moment ago, a little later.
func (l *loop) publish() {
	if since := time.Since(l.counted); since < countEvery {
		if !l.counting {
			l.counting = true
			l.after(countEvery-since, &gaugesDue{})
		}
		return
	}
	l.counted = time.Now()
	g := &gauges{}
	if l.term != nil {
		g.count(l.term.state)
	}
	l.c.metrics.gauges.Store(g)
}

// play lets the loop publish when it has run out of events, which is after this one at the latest.
func (*gaugesDue) play(l *loop) { l.counting = false }

func (g *gauges) count(s *state) {
	g.brokers, g.topics, g.moves = len(s.brokers), len(s.topics), len(s.reassigning)
	for _, b := range s.brokers {
		g.queued += b.outbox.len()
	}
	for _, of := range s.topics {
		if of.queued {
			g.topicsToDelete++
			count := of.countReplicas()
			g.replicasToDelete += count.all() - count[replicaDeletionSuccessful]
		}
		if of.ineligible && of.queued {
			g.topicsIneligible++
		}
		for _, p := range of.partitions {
			if p.known {
				g.partitions++
			}
			if !of.started && (!p.known || !s.online(p, p.info.Leader)) {
				g.offline++
			}
			if !of.queued && imbalanced(p) {
				g.imbalanced++
			}
		}
	}
}

// imbalanced reports whether a partition is led by another than its preferred replica. A preferred replica that is only
// being added counts once it is in the ISR.
func imbalanced(p *partition) bool {
	if !p.known || len(p.assignment.Replicas) == 0 || p.info.Leader == p.assignment.Replicas[0] {
		return false
	}
	adding := containsAll(p.assignment.Adding, []meta.BrokerID{p.assignment.Replicas[0]})
	return !adding || containsAll(p.info.ISR, []meta.BrokerID{p.assignment.Replicas[0]})
}
