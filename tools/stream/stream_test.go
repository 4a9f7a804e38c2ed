package stream

import (
	"testing"
	"time"
)

func TestSelection(t *testing.T) {
	s, err := NewSelection("", "lines.*|x")
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]bool{"lines": true, "lines2": true, "x": true, "xx": false, "online": false} {
		if s.matches.MatchString(topic) != want {
			t.Errorf("%s: %t", topic, !want)
		}
	}
	if _, err := NewSelection("", "["); err == nil {
		t.Error("no complaint")
	}
}

func TestMemory(t *testing.T) {
	m := newMemory(100)
	m.take(500) // alone, a message may be larger than everything
	m.give(500)
	m.take(60)
	taken := make(chan struct{})
	go func() {
		m.take(60)
		close(taken)
	}()
	select {
	case <-taken:
		t.Fatal("120 bytes of 100")
	case <-time.After(10 * time.Millisecond):
	}
	m.give(60)
	<-taken
}

func TestBackoffGrows(t *testing.T) {
	b := backoff{first: 100 * time.Millisecond}
	for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		if got := b.more(); got != want*time.Millisecond {
			t.Errorf("%d: %v", i, got)
		}
	}
	b.reset()
	if got := b.more(); got != 100*time.Millisecond {
		t.Errorf("after reset: %v", got)
	}
}
