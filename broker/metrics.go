package broker

import (
	"bytes"
	"os"
	goruntime "runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kraal-mq/kraal/jmx"
)

// registerMetrics registers what concerns the process, from the first moment on.
func (b *Broker) registerMetrics() {
	b.o.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	b.gauge("kafka_server_kafkaserver_brokerstate",
		"Kafka's BrokerState: 1 starting, 2 recovering logs, 3 running, 6 handing leadership over, 7 stopping.",
		func() float64 { return float64(b.state.load()) })
	b.registerProcessorIdleness()
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

// registerProcessorIdleness tells how much of its processors the process leaves idle, under the name of what in Kafka are the
// network threads: here goroutines do that work on as many processors as Go was given.
func (b *Broker) registerProcessorIdleness() {
	used, known := cpuTime()
	if !known {
		return
	}
	rate := jmx.NewRate(used.Seconds(), time.Now())
	b.gauge("kafka_network_socketserver_networkprocessoravgidlepercent",
		"Share (0 to 1) of the time of its processors (GOMAXPROCS) that this process did not use in the last minute.", func() float64 {
			used, _ := cpuTime()
			busy := rate.PerSecond(used.Seconds(), time.Now()) / float64(goruntime.GOMAXPROCS(0))
			return min(max(0, 1-busy), 1)
		})
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
