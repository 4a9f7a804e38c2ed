package perf

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rcrowley/go-metrics"
)

type metric struct {
	name  string
	value float64
}

// collect reads sarama's metrics, which are not Java's; they are gone when the client is closed.
func collect(registry metrics.Registry, group, clientID string) []metric {
	var all []metric
	registry.Each(func(name string, m any) {
		add := func(suffix string, value float64) {
			all = append(all, metric{fmt.Sprintf("%s:%s%s:{client-id=%s}", group, name, suffix, clientID), value})
		}
		switch m := m.(type) {
		case metrics.Counter:
			add("", float64(m.Count()))
		case metrics.Gauge:
			add("", float64(m.Value()))
		case metrics.Meter:
			add("-total", float64(m.Count()))
			add("-rate", m.RateMean())
		case metrics.Histogram:
			add("-avg", m.Mean())
			add("-max", float64(m.Max()))
		}
	})
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return all
}

// printMetrics prints the table of --print-metrics.
func printMetrics(out io.Writer, all []metric) {
	width := len("Metric Name")
	for _, m := range all {
		width = max(width, len(m.name))
	}
	fmt.Fprintf(out, "\n%-*s   Value\n", width, "Metric Name")
	for _, m := range all {
		fmt.Fprintf(out, "%-*s : %.3f\n", width, m.name, m.value)
	}
}
