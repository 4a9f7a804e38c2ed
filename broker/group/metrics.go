package group

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts the groups of a broker, under the names that the usual JMX exporter configuration gives those of Kafka's
// GroupMetadataManager and GroupCoordinator.
type Metrics struct {
	states     [Dead + 1]atomic.Int64
	rebalances prometheus.Counter
}

var stateSeries = [Dead + 1]struct{ name, help string }{
	Empty:               {"numgroupsempty", "Groups coordinated here that have no members."},
	PreparingRebalance:  {"numgroupspreparingrebalance", "Groups coordinated here whose members are joining."},
	CompletingRebalance: {"numgroupscompletingrebalance", "Groups coordinated here whose members wait for their assignment."},
	Stable:              {"numgroupsstable", "Groups coordinated here whose members have their assignment."},
	Dead:                {"numgroupsdead", "Groups coordinated here that are being deleted."},
}

// NewMetrics registers the metrics of a broker's groups.
func NewMetrics(r prometheus.Registerer) *Metrics {
	const prefix = "kafka_coordinator_group_groupmetadatamanager_"
	m := &Metrics{rebalances: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kafka_server_group_coordinator_metrics_group_completed_rebalance_count",
		Help: "Rebalances of groups coordinated here that came as far as the leader's assignment."})}
	all := []prometheus.Collector{m.rebalances,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "numgroups", Help: "Groups coordinated here."}, m.total)}
	for state, s := range stateSeries {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + s.name, Help: s.help},
			func() float64 { return float64(m.states[state].Load()) }))
	}
	if r != nil {
		r.MustRegister(all...)
	}
	return m
}

func (m *Metrics) total() float64 {
	var n int64
	for i := range m.states {
		n += m.states[i].Load()
	}
	return float64(n)
}

func (m *Metrics) added(s State)        { m.states[s].Add(1) }
func (m *Metrics) removed(s State)      { m.states[s].Add(-1) }
func (m *Metrics) moved(from, to State) { m.removed(from); m.added(to) }
