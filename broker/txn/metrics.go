package txn

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/jmx"
)

// metrics are a coordinator's, and those of who asks it, under the names of Kafka's TransactionMarkerChannelManager and
// AddPartitionsToTxnManager.
type metrics struct {
	verified *jmx.Histogram
	refused  prometheus.Counter
}

func newMetrics(m *markers, r prometheus.Registerer) *metrics {
	c := &metrics{
		verified: jmx.NewHistogram("kafka_server_addpartitionstotxnmanager_verificationtimems",
			"Milliseconds to learn from a coordinator whether partitions are part of a transaction."),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "kafka_server_addpartitionstotxnmanager_verificationfailurerate_count",
			Help: "Partitions that were not part of the transaction, or of which nobody could say."}),
	}
	if r != nil {
		r.MustRegister(c.verified, c.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "kafka_coordinator_transaction_transactionmarkerchannelmanager_unknowndestinationqueuesize",
			Help: "Transactions with markers for partitions that have no leader at present.",
		}, func() float64 { return float64(m.homeless.Load()) }))
	}
	return c
}

// verification notes what came of a question.
func (c *metrics) verification(began time.Time, errs []error) {
	c.verified.Took(time.Since(began))
	for _, err := range errs {
		if err != nil {
			c.refused.Inc()
		}
	}
}
