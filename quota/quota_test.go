package quota

import (
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func TestWindow(t *testing.T) {
	w := Window{Num: 11, Size: time.Second}
	if r := w.Rate(at(0)); r != 0 {
		t.Errorf("nothing recorded, rate %v", r)
	}
	w.Record(1000, at(0))
	// A burst after silence is spread over ten full windows.
	if r := w.Rate(at(0)); r != 100 {
		t.Errorf("rate %v, want 100", r)
	}
	// (O - T) / T x W: the rate is down to the limit when the window has grown to 20 s.
	if d := w.Delay(50, at(0)); d != 10*time.Second {
		t.Errorf("delay %v, want 10s", d)
	}
	if d := w.Delay(100, at(0)); d != 0 {
		t.Errorf("delay %v at the limit", d)
	}
	if r := w.Rate(at(10.5)); r < 95 || r > 96 {
		t.Errorf("rate %v after 10.5 s", r)
	}
	if r := w.Rate(at(11)); r != 0 {
		t.Errorf("rate %v after all samples have passed", r)
	}
}

func TestWindowForgetsByTheSample(t *testing.T) {
	w := Window{Num: 3, Size: time.Second}
	for s := range 10 {
		w.Record(10, at(float64(s)))
		if len(w.samples) > w.Num {
			t.Fatalf("%d samples", len(w.samples))
		}
	}
	// Samples of seconds 7, 8, 9 are left, measured over at least two seconds and what has passed of the third.
	if r := w.Rate(at(9)); r != 15 {
		t.Errorf("rate %v, want 15", r)
	}
	if r := w.Rate(at(9.5)); r != 12 {
		t.Errorf("rate %v, want 12", r)
	}
}

func TestConnections(t *testing.T) {
	c := NewConnections(11, time.Second, ConnectionLimits{Broker: 2, PerListener: map[string]float64{"SLOW": 1}, Protected: "BROKERS"})
	for i := range 20 {
		if d := c.Listener("CLIENT", at(0)); d != 0 {
			t.Fatalf("connection %d waits %v: 20 in ten seconds are allowed", i, d)
		}
	}
	if d := c.Listener("CLIENT", at(0)); d != 500*time.Millisecond {
		t.Errorf("one above waits %v", d)
	}
	if d := c.Listener("BROKERS", at(0)); d != 0 {
		t.Errorf("brokers wait %v", d)
	}
	for range 30 {
		c.Listener("SLOW", at(0))
	}
	if d := c.Listener("SLOW", at(0)); d != time.Second {
		t.Errorf("far above waits %v, and no longer than a sample", d)
	}
	c.SetLimits(ConnectionLimits{})
	if d := c.Listener("SLOW", at(0)); d != 0 {
		t.Errorf("without limits it waits %v", d)
	}
}
