//go:build !unix

package broker

import "time"

// cpuTime is the processor time this process has used; false if nobody knows.
func cpuTime() (time.Duration, bool) { return 0, false }
