package broker

import (
	"bytes"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// registerMetrics registers what concerns the process, from the first moment on.
func (b *Broker) registerMetrics() {
	b.o.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	b.gauge("kafka_server_kafkaserver_brokerstate",
		"Kafka's BrokerState: 1 starting, 2 recovering logs, 3 running, 6 handing leadership over, 7 stopping.",
		func() float64 { return float64(b.state.load()) })
	for _, d := range []struct{ name, field, help string }{
		{"kafka_server_kafkaserver_linux_disk_read_bytes", "read_bytes", "Bytes that this process made the system read from disks."},
		{"kafka_server_kafkaserver_linux_disk_write_bytes", "write_bytes", "Bytes that this process made the system write to disks."},
	} {
		if _, err := processIO(d.field); err == nil {
			b.gauge(d.name, d.help, func() float64 {
				n, _ := processIO(d.field)
				return n
			})
		}
	}
}

// registerIdentity registers what is known once the broker knows who it is.
func (b *Broker) registerIdentity() {
	b.o.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kraal_broker_info", Help: "1, with what this process is in its labels.",
		ConstLabels: prometheus.Labels{"version": b.o.Version, "cluster": b.clusterID, "broker": strconv.Itoa(int(b.id))}}, func() float64 { return 1 }))
}

func (b *Broker) gauge(name, help string, value func() float64) {
	b.o.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// processIO reads one number of /proc/self/io, which only Linux has.
func processIO(field string) (float64, error) {
	content, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(content) {
		if name, value, ok := bytes.Cut(line, []byte(": ")); ok && string(name) == field {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, os.ErrNotExist
}
