package jmx

import (
	"sync"
	"time"
)

// rateWindow is how far back a [Rate] looks at most, and half of it how far at least, once it is that old.
const rateWindow = time.Minute

// Rate is how fast a number that only grows has grown over about the last minute. Like the window of a [Histogram] it is turned by
// those who ask, so it costs nothing between scrapes. Safe for concurrent use. The zero value begins with the first question.
type Rate struct {
	mu            sync.Mutex
	recent, older ratePoint
}

type ratePoint struct {
	total float64
	at    time.Time
}

// NewRate returns the rate of a number that is total now.
func NewRate(total float64, now time.Time) *Rate {
	p := ratePoint{total, now}
	return &Rate{recent: p, older: p}
}

// PerSecond returns the rate, given what the number is now.
func (r *Rate) PerSecond(total float64, now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := ratePoint{total, now}
	if r.older.at.IsZero() {
		r.older, r.recent = p, p
	}
	if now.Sub(r.recent.at) >= rateWindow/2 {
		// Whoever asks rarely gets the rate since the last time.
		r.older, r.recent = r.recent, p
	}
	past := now.Sub(r.older.at)
	if past <= 0 {
		return 0
	}
	return (total - r.older.total) / past.Seconds()
}
