package peer

import (
	"math/rand/v2"
	"time"
)

// doubled returns first, doubled times over, but at most most.
func doubled(first, most time.Duration, times int) time.Duration {
	d := first
	for ; times > 0 && d < most; times-- {
		d *= 2
	}
	return min(d, most)
}

// jittered returns d give or take a fifth, so that many brokers do not come back at the same moment.
func jittered(d time.Duration) time.Duration {
	return d - d/5 + rand.N(d*2/5+1)
}
