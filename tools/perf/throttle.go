package perf

import "time"

// throttle keeps a loop from running faster than so many rounds a second.
type throttle struct {
	rate  float64 // not above 0: no limit
	start time.Time
}

// pause is how long to wait after n rounds, at this time.
func (t throttle) pause(n int64, now time.Time) time.Duration {
	if t.rate <= 0 {
		return 0
	}
	due := t.start.Add(time.Duration(float64(n) / t.rate * float64(time.Second)))
	return max(due.Sub(now), 0)
}
