package testkit

import (
	"testing"
	"time"
)

func TestFirstDifference(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 1}, {"a\nb\n", "a\nb\n", 3}, {"a\nb\n", "a\nc\n", 2}, {"a\n", "a\nb\n", 2}} {
		if got := firstDifference([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("firstDifference(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestEventuallyLooksAgain(t *testing.T) {
	looks := 0
	Eventually(t, time.Minute, "three looks", func() bool { looks++; return looks == 3 })
}
