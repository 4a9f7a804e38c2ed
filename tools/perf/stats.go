package perf

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	maxSamples = 500000
	window     = 5 * time.Second
	megabyte   = 1024 * 1024
)

// stats counts acknowledged records. The answering goroutine records, the loop prints the total.
type stats struct {
	out   io.Writer
	now   func() time.Time
	start time.Time
	every int64 // one record in so many is sampled

	mu struct {
		sync.Mutex
		all, recent counts
		since       time.Time // recent counts from here
		samples     []int64   // latencies in ms, of some records
	}
}

type counts struct{ records, bytes, latency, longest int64 }

func (c *counts) add(latency, size int64) {
	c.records++
	c.bytes += size
	c.latency += latency
	c.longest = max(c.longest, latency)
}

func (c *counts) mean() float64 { return float64(c.latency) / float64(c.records) }

func (c *counts) rates(elapsed time.Duration) (records, megabytes float64) {
	ms := float64(elapsed.Milliseconds())
	return 1000 * float64(c.records) / ms, 1000 * float64(c.bytes) / ms / megabyte
}

func newStats(records int64, out io.Writer, now func() time.Time) *stats {
	s := &stats{out: out, now: now, start: now(), every: max(records/max(min(records, maxSamples), 1), 1)}
	s.mu.since = s.start
	return s
}

// record counts a record that was sent at and is acknowledged now, and prints a line when a window is over.
func (s *stats) record(sent time.Time, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	latency := now.Sub(sent).Milliseconds()
	m := &s.mu
	if m.all.records%s.every == 0 {
		m.samples = append(m.samples, latency)
	}
	m.all.add(latency, int64(size))
	m.recent.add(latency, int64(size))
	if elapsed := now.Sub(m.since); elapsed >= window {
		records, megabytes := m.recent.rates(elapsed)
		fmt.Fprintf(s.out, "%d records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms max latency.\n",
			m.recent.records, records, megabytes, m.recent.mean(), float64(m.recent.longest))
		m.recent, m.since = counts{}, now
	}
}

func (s *stats) total() {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.mu
	records, megabytes := m.all.rates(s.now().Sub(s.start))
	slices.Sort(m.samples)
	at := func(part float64) int64 {
		if len(m.samples) == 0 {
			return 0
		}
		return m.samples[int(part*float64(len(m.samples)))]
	}
	fmt.Fprintf(s.out, "%d records sent, %f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, "+
		"%d ms 50th, %d ms 95th, %d ms 99th, %d ms 99.9th.\n",
		m.all.records, records, megabytes, m.all.mean(), float64(m.all.longest), at(0.5), at(0.95), at(0.99), at(0.999))
}
