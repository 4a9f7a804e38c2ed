package jmx

import (
	"cmp"
	"iter"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Column is one gauge of a [Table].
type Column struct{ Name, Help string }

// Rows gives the label values of each thing and its values, in the order of labels and columns. Neither is kept.
type Rows = iter.Seq2[[]string, []float64]

// Table is a collector of gauges of many things of one kind. Nothing of them is kept between scrapes: a thing that is gone has no
// series.
type Table struct {
	labels  []string
	order   []int // of the labels by name, which is the order that Prometheus wants
	columns []*prometheus.Desc
	rows    Rows
}

// NewTable returns a table of these columns whose rows are read when somebody scrapes.
func NewTable(labels []string, columns []Column, rows Rows) *Table {
	t := &Table{labels: labels, rows: rows}
	for i := range labels {
		t.order = append(t.order, i)
	}
	slices.SortFunc(t.order, func(a, b int) int { return cmp.Compare(labels[a], labels[b]) })
	for _, c := range columns {
		t.columns = append(t.columns, prometheus.NewDesc(c.Name, c.Help, labels, nil))
	}
	return t
}

// Describe implements [prometheus.Collector].
func (t *Table) Describe(out chan<- *prometheus.Desc) {
	for _, c := range t.columns {
		out <- c
	}
}

// Collect implements [prometheus.Collector].
func (t *Table) Collect(out chan<- prometheus.Metric) {
	for labels, values := range t.rows {
		pairs := make([]*dto.LabelPair, len(labels))
		cells := make([]cell, len(values))
		for i, at := range t.order {
			pairs[i] = &dto.LabelPair{Name: &t.labels[at], Value: new(labels[at])}
		}
		for i, v := range values {
			cells[i] = cell{desc: t.columns[i], labels: pairs, value: v}
			out <- &cells[i]
		}
	}
}

// cell is one value. A constant metric of the client library would do, but builds its labels anew, which for the tens of thousands
// of series of a large broker is most of the work of a scrape.
type cell struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	value  float64
}

// Desc implements [prometheus.Metric].
func (c *cell) Desc() *prometheus.Desc { return c.desc }

// Write implements [prometheus.Metric].
func (c *cell) Write(m *dto.Metric) error {
	m.Label, m.Gauge = c.labels, &dto.Gauge{Value: &c.value}
	return nil
}
