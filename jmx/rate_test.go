package jmx

import (
	"math"
	"testing"
	"time"
)

func TestRateLooksBackAMinute(t *testing.T) {
	start := time.Unix(1000, 0)
	r := NewRate(100, start)
	for _, step := range []struct {
		at    time.Duration
		total float64
		want  float64
	}{
		{0, 100, 0},
		{10 * time.Second, 150, 5},
		{20 * time.Second, 200, 5},
		{30 * time.Second, 250, 5},
		{40 * time.Second, 250, 3.75}, // since the beginning
		{60 * time.Second, 250, 0},    // since 30 s
		{80 * time.Second, 350, 2},    // since 30 s
		{600 * time.Second, 790, 1},   // since 60 s: nobody asked
		{610 * time.Second, 790, 540.0 / 550},
	} {
		if got := r.PerSecond(step.total, start.Add(step.at)); math.Abs(got-step.want) > 1e-9 {
			t.Errorf("at %v: %g, want %g", step.at, got, step.want)
		}
	}
}

func TestRateOfWhatWasNotThere(t *testing.T) {
	var r Rate
	now := time.Unix(1000, 0)
	if got := r.PerSecond(1e9, now); got != 0 {
		t.Errorf("the first answer is %g", got)
	}
	if got := r.PerSecond(1e9+20, now.Add(10*time.Second)); got != 2 {
		t.Errorf("the second is %g", got)
	}
	if got := r.PerSecond(1e9+20, now); got != 0 {
		t.Errorf("with the clock set back it is %g", got)
	}
}
