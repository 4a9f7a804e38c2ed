package jmx

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Buckets are an eighth of a power of two wide: the index is the exponent and the first bits of the mantissa of the value.
const (
	subBits     = 3
	lowest      = -10 // of exponents: below 2^-10, a microsecond of what is counted in milliseconds, everything is zero
	highest     = 32  // 2^32 ms are 49 days, 2^32 bytes 4 GiB
	bucketCount = (highest-lowest)<<subBits + 1
	indexShift  = 52 - subBits
	indexBase   = (1023 + lowest) << subBits
)

// window is how far back quantiles look at most, and half of it how far at least. Yammer's decaying sample, which Kafka uses,
// gives the last five minutes most of the weight.
const window = 5 * time.Minute

// quantiles are those of Yammer's histograms, spelled as the JMX exporter spells them.
var quantiles = []struct {
	label string
	q     float64
}{{"0.50", 0.5}, {"0.75", 0.75}, {"0.95", 0.95}, {"0.98", 0.98}, {"0.99", 0.99}, {"0.999", 0.999}}

type buckets [bucketCount]uint32

// Histogram is the distribution of a value over the last minutes, and how often it was observed ever. Safe for concurrent use.
// It is a collector; one of a [HistogramVec] is collected by that.
type Histogram struct {
	family *family
	labels []string

	count  atomic.Uint64
	counts [bucketCount]atomic.Uint32 // ever, modulo 2^32: only differences count

	// What counts said at the beginning of this window half and of the one before; nil before the first scrape. Guarded by mu.
	mu struct {
		sync.Mutex
		now           func() time.Time
		recent, older *buckets
		recentBegan   time.Time
		scratch       *buckets
	}
}

// family is what the histograms of one name share.
type family struct {
	quantile, count *prometheus.Desc
}

func newFamily(name, help string, labels []string) *family {
	return &family{
		quantile: prometheus.NewDesc(name, help, append(slices.Clone(labels), "quantile"), nil),
		count:    prometheus.NewDesc(name+"_count", help, labels, nil),
	}
}

func (f *family) describe(out chan<- *prometheus.Desc) {
	out <- f.quantile
	out <- f.count
}

// NewHistogram returns an empty histogram.
func NewHistogram(name, help string) *Histogram { return newHistogram(newFamily(name, help, nil), nil) }

func newHistogram(f *family, labels []string) *Histogram {
	h := &Histogram{family: f, labels: labels}
	h.mu.now = time.Now
	return h
}

// Observe counts a value; negative ones count as zero.
func (h *Histogram) Observe(v float64) {
	h.counts[bucketOf(v)].Add(1)
	h.count.Add(1)
}

// Took counts a duration, in milliseconds.
func (h *Histogram) Took(d time.Duration) { h.Observe(float64(d) / float64(time.Millisecond)) }

func bucketOf(v float64) int {
	if !(v > 0) {
		return 0
	}
	return max(0, min(int(math.Float64bits(v)>>indexShift)-indexBase+1, bucketCount-1))
}

// lowerBound is the smallest value of a bucket. That of the first is 0, which is also what values in it are taken for.
func lowerBound(i int) float64 {
	if i == 0 {
		return 0
	}
	return math.Float64frombits(uint64(i-1+indexBase) << indexShift)
}

// Describe implements [prometheus.Collector].
func (h *Histogram) Describe(out chan<- *prometheus.Desc) { h.family.describe(out) }

// Collect implements [prometheus.Collector].
func (h *Histogram) Collect(out chan<- prometheus.Metric) {
	values := h.quantiles()
	labels := append(slices.Clone(h.labels), "")
	for i, q := range quantiles {
		labels[len(labels)-1] = q.label
		out <- prometheus.MustNewConstMetric(h.family.quantile, prometheus.GaugeValue, values[i], labels...)
	}
	out <- prometheus.MustNewConstMetric(h.family.count, prometheus.CounterValue, float64(h.count.Load()), h.labels...)
}

// quantiles works out all of them: zero if nothing was observed lately.
func (h *Histogram) quantiles() []float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.scratch == nil {
		h.mu.scratch = new(buckets)
	}
	seen, total := h.mu.scratch, uint64(0)
	for i := range h.counts {
		seen[i] = h.counts[i].Load()
	}
	h.turnLocked(seen)
	for i := range seen {
		if h.mu.older != nil {
			seen[i] -= h.mu.older[i]
		}
		total += uint64(seen[i])
	}
	return quantilesOf(seen, total)
}

// turnLocked begins the next half of the window once this one is over. Nobody but scrapes turns it: between two of them that are
// further apart the window is as long.
func (h *Histogram) turnLocked(seen *buckets) {
	now := h.mu.now()
	switch {
	case h.mu.recent == nil:
		h.mu.recent = new(buckets)
	case now.Sub(h.mu.recentBegan) < window/2:
		return
	case h.mu.older == nil:
		h.mu.older, h.mu.recent = h.mu.recent, new(buckets)
	default:
		h.mu.older, h.mu.recent = h.mu.recent, h.mu.older
	}
	*h.mu.recent, h.mu.recentBegan = *seen, now
}

func quantilesOf(counts *buckets, total uint64) []float64 {
	out := make([]float64, len(quantiles))
	if total == 0 {
		return out
	}
	next, below := 0, uint64(0)
	for i, n := range counts {
		for n > 0 && next < len(out) {
			rank := quantiles[next].q * float64(total)
			if rank > float64(below+uint64(n)) {
				break
			}
			if i > 0 {
				low := lowerBound(i)
				out[next] = low + (lowerBound(i+1)-low)*(rank-float64(below))/float64(n)
			}
			next++
		}
		below += uint64(n)
	}
	return out
}

// HistogramVec is the histograms of one name, one for each combination of label values. It is a collector.
type HistogramVec struct {
	family *family

	mu struct {
		sync.RWMutex
		all map[string]*Histogram
	}
}

// NewHistogramVec returns one without histograms.
func NewHistogramVec(name, help string, labels ...string) *HistogramVec {
	v := &HistogramVec{family: newFamily(name, help, labels)}
	v.mu.all = map[string]*Histogram{}
	return v
}

// With returns the histogram of these label values, made if missing. Callers with many observations keep it.
func (v *HistogramVec) With(labels ...string) *Histogram {
	key := strings.Join(labels, "\xff")
	v.mu.RLock()
	h := v.mu.all[key]
	v.mu.RUnlock()
	if h != nil {
		return h
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if h = v.mu.all[key]; h == nil {
		h = newHistogram(v.family, slices.Clone(labels))
		v.mu.all[key] = h
	}
	return h
}

// Delete forgets the histogram of these label values.
func (v *HistogramVec) Delete(labels ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.mu.all, strings.Join(labels, "\xff"))
}

// Describe implements [prometheus.Collector].
func (v *HistogramVec) Describe(out chan<- *prometheus.Desc) { v.family.describe(out) }

// Collect implements [prometheus.Collector].
func (v *HistogramVec) Collect(out chan<- prometheus.Metric) {
	v.mu.RLock()
	all := make([]*Histogram, 0, len(v.mu.all))
	for _, h := range v.mu.all {
		all = append(all, h)
	}
	v.mu.RUnlock()
	for _, h := range all {
		h.Collect(out)
	}
}
