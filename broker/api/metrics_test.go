package api

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests may name anything; only topics get series of their own, and lose them when they are deleted.
func TestOnlyTopicsHaveSeries(t *testing.T) {
	exists := map[string]bool{"orders": true}
	reg := prometheus.NewRegistry()
	m := newMetrics(reg, func(topic string) bool { return exists[topic] })
	series := func() int {
		t.Helper()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			if f.GetName() == "kafka_server_brokertopicmetrics_failedproducerequests_total" {
				n += len(f.GetMetric())
			}
		}
		return n
	}
	m.topic("made-up").producesFailed.Inc()
	if n := series(); n != 0 {
		t.Errorf("%d series after a request for a topic that does not exist", n)
	}
	m.topic("orders").producesFailed.Inc()
	if n := series(); n != 1 {
		t.Errorf("%d series for one topic", n)
	}
	delete(exists, "orders")
	m.forget("orders")
	m.topic("orders").producesFailed.Inc()
	if n := series(); n != 0 {
		t.Errorf("%d series after the topic was deleted", n)
	}
}
