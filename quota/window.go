package quota

import "time"

// Window measures a rate over Num samples of Size each (quota.window.num, quota.window.size.seconds). Not for use by several
// goroutines.
type Window struct {
	Num  int
	Size time.Duration
	// Simple measures over the time since the oldest sample began, one sample at least, so that a burst after silence counts as
	// the high rate it is (Kafka's SimpleRate). Otherwise it is spread over all the samples (Rate).
	Simple bool

	samples []sample // the live ones, oldest first, Num at most
}

type sample struct {
	start time.Time
	sum   float64
}

// Record adds amount at now. Time that goes back counts as standing still.
func (w *Window) Record(amount float64, now time.Time) {
	w.expire(now)
	if n := len(w.samples); n == 0 || now.Sub(w.samples[n-1].start) >= w.Size {
		w.samples = append(w.samples, sample{start: now})
		if len(w.samples) > w.Num {
			w.samples = append(w.samples[:0], w.samples[1:]...)
		}
	}
	w.samples[len(w.samples)-1].sum += amount
}

// Rate is how much was recorded a second. If not Simple, over at least all but one of the samples' length, so that a burst after
// silence does not look like a high rate.
func (w *Window) Rate(now time.Time) float64 {
	w.expire(now)
	sum := 0.0
	for _, s := range w.samples {
		sum += s.sum
	}
	return sum / w.span(now).Seconds()
}

// Delay is how long to wait after what was recorded until the rate is down to limit again; zero while it is not above.
func (w *Window) Delay(limit float64, now time.Time) time.Duration {
	rate := w.Rate(now)
	if limit <= 0 || rate <= limit {
		return 0
	}
	return time.Duration((rate - limit) / limit * float64(w.span(now))).Round(time.Millisecond)
}

// span is the time a rate is measured over: since the oldest live sample began, and never less than Num-1 samples and what has
// passed of the present one.
func (w *Window) span(now time.Time) time.Duration {
	if len(w.samples) == 0 {
		return max(time.Duration(w.Num-1)*w.Size, time.Millisecond)
	}
	elapsed := now.Sub(w.samples[0].start)
	if w.Simple {
		return max(elapsed, w.Size, time.Millisecond)
	}
	full := int(elapsed / w.Size)
	if lacking := w.Num - 1 - full; lacking > 0 {
		elapsed += time.Duration(lacking) * w.Size
	}
	return max(elapsed, time.Millisecond)
}

func (w *Window) expire(now time.Time) {
	live := 0
	for live < len(w.samples) && now.Sub(w.samples[live].start) >= time.Duration(w.Num)*w.Size {
		live++
	}
	w.samples = append(w.samples[:0], w.samples[live:]...)
}
