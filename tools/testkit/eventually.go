package testkit

import (
	"testing"
	"time"
)

// poll is how often Eventually looks.
const poll = 10 * time.Millisecond

// Eventually waits until ok returns true and fails the test when that takes longer than within. What is awaited goes
// into the failure's message.
func Eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			if ok() { // the machine may have been busy elsewhere for all that time
				return
			}
			t.Fatalf("not within %v: %s", within, what)
		case <-tick.C:
		}
	}
}
