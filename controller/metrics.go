package controller

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// metrics are the controller's own, under the names Kafka's have. Gauges are 0 on a controller that is not active.
type metrics struct {
	gauges    atomic.Pointer[gauges]
	doing     atomic.Int32 // the activity of the event being handled
	unclean   prometheus.Counter
	retries   prometheus.Counter
	timers    [activityCount]*jmx.Histogram // nil where Kafka has none
	waited    *jmx.Histogram                // of events, in the queue
	outboxing *jmx.HistogramVec             // of requests, by broker
}

// gauges are counted by the loop when it runs out of events, so that reading them disturbs nobody.
type gauges struct {
	brokers, topics, partitions, offline, imbalanced, moves                int
	topicsToDelete, topicsIneligible, replicasToDelete, replicasIneligible int

	outboxes map[meta.BrokerID]*outbox // asked for their length when somebody scrapes
}

func newMetrics(c *Controller, r prometheus.Registerer) *metrics {
	m := &metrics{
		unclean: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kafka_controller_controllerstats_uncleanleaderelections_total",
			Help: "Leaders elected from outside the ISR, which may have lost records.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kraal_controller_request_retries_total",
			Help: "Requests to brokers that could not be delivered and were tried again.",
		}),
		waited: jmx.NewHistogram("kafka_controller_controllereventmanager_eventqueuetimems",
			"Milliseconds from an event until the controller's loop took it up."),
		outboxing: jmx.NewHistogramVec("kafka_controller_controllerchannelmanager_requestrateandqueuetimems",
			"Milliseconds that requests of the active controller waited for their turn to be sent to a broker.", "broker_id"),
	}
	m.gauges.Store(&gauges{})
	all := []prometheus.Collector{m.unclean, m.retries, m.waited, m.outboxing}
	for a, name := range activityNames {
		if name != "" {
			m.timers[a] = jmx.NewHistogram("kafka_controller_controllerstats_"+name+"rateandtimems",
				"Milliseconds to handle events of the kind: "+activityHelp[a]+".")
			all = append(all, m.timers[a])
		}
	}
	gauge := func(name, help string, value func() float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	const prefix = "kafka_controller_kafkacontroller_"
	count := func(name, help string, of func(*gauges) int) {
		gauge(prefix+name, help, func() float64 { return float64(of(m.gauges.Load())) })
	}
	gauge(prefix+"activecontrollercount", "1 while this broker is the active controller. The sum over the fleet is to be 1.", func() float64 {
		if c.IsActive() {
			return 1
		}
		return 0
	})
	gauge(prefix+"controllerstate", "What the controller is doing (Kafka's ControllerState): 0 idle.", func() float64 { return float64(m.doing.Load()) })
	gauge(prefix+"fencedbrokercount", "Always 0: with ZooKeeper no broker is fenced.", func() float64 { return 0 })
	gauge(prefix+"zkmigrationstate", "Always 4: the metadata are ZooKeeper's.", func() float64 { return 4 })
	count("activebrokercount", "Registered brokers, those shutting down included.", func(g *gauges) int { return g.brokers })
	count("globaltopiccount", "Topics.", func(g *gauges) int { return g.topics })
	count("globalpartitioncount", "Partitions that have or had a leader.", func(g *gauges) int { return g.partitions })
	count("offlinepartitionscount", "Partitions without a live leader: nobody can read or write them.", func(g *gauges) int { return g.offline })
	count("preferredreplicaimbalancecount", "Partitions not led by their preferred replica.", func(g *gauges) int { return g.imbalanced })
	count("topicstodeletecount", "Topics queued for deletion.", func(g *gauges) int { return g.topicsToDelete })
	count("topicsineligibletodeletecount", "Topics queued for deletion that have to wait.", func(g *gauges) int { return g.topicsIneligible })
	count("replicastodeletecount", "Replicas of topics queued for deletion that are not deleted yet.", func(g *gauges) int { return g.replicasToDelete })
	count("replicasineligibletodeletecount", "Replicas of topics queued for deletion that cannot be deleted now.", func(g *gauges) int { return g.replicasIneligible })
	gauge("kraal_controller_reassigning_partitions", "Partitions being reassigned.", func() float64 { return float64(m.gauges.Load().moves) })
	gauge("kafka_controller_controllereventmanager_eventqueuesize", "Events waiting for the controller's loop.", func() float64 { return float64(c.queue.len()) })
	gauge("kafka_controller_controllerchannelmanager_totalqueuesize", "Requests waiting to be sent to brokers.", func() float64 {
		n := 0
		for _, o := range m.gauges.Load().outboxes {
			n += o.len()
		}
		return float64(n)
	})
	all = append(all, jmx.NewTable([]string{"broker_id"}, []jmx.Column{{
		Name: "kafka_controller_controllerchannelmanager_queuesize", Help: "Requests waiting to be sent to a broker.",
	}}, m.queueSizes))
	if r != nil {
		r.MustRegister(all...)
	}
	return m
}

func (m *metrics) queueSizes(yield func([]string, []float64) bool) {
	for id, o := range m.gauges.Load().outboxes {
		if !yield([]string{strconv.Itoa(int(id))}, []float64{float64(o.len())}) {
			return
		}
	}
}

// began notes which event is being handled and returns what to call when that is over.
func (m *metrics) began(e event) (ended func()) {
	a, at := activityOf(e), time.Now()
	m.doing.Store(int32(a))
	return func() {
		m.doing.Store(int32(idle))
		if m.timers[a] != nil {
			m.timers[a].Took(time.Since(at))
		}
	}
}

// outbox is how long requests to a broker wait. Forget it when the broker is gone.
func (m *metrics) outbox(id meta.BrokerID) *jmx.Histogram {
	return m.outboxing.With(strconv.Itoa(int(id)))
}

func (m *metrics) forgetOutbox(id meta.BrokerID) { m.outboxing.Delete(strconv.Itoa(int(id))) }

// resigned leaves nothing of a term that is over.
func (m *metrics) resigned(s *state) {
	m.gauges.Store(&gauges{})
	for id := range s.brokers {
		m.forgetOutbox(id)
	}
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
	g.outboxes = make(map[meta.BrokerID]*outbox, len(s.brokers))
	for id, b := range s.brokers {
		g.outboxes[id] = b.outbox
	}
	for _, of := range s.topics {
		if of.queued {
			g.topicsToDelete++
			count := of.countReplicas()
			g.replicasToDelete += count.all() - count[replicaDeletionSuccessful]
			g.replicasIneligible += count[replicaDeletionIneligible]
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
