package zkstore

import "time"

// sendTimes is a queue of moments. It keeps its memory: requests come in bursts.
type sendTimes struct {
	times []time.Time // a ring
	first int
	n     int
}

func (q *sendTimes) push(t time.Time) {
	if q.n == len(q.times) {
		grown := make([]time.Time, max(16, 2*q.n))
		for i := range q.n {
			grown[i] = q.times[(q.first+i)%len(q.times)]
		}
		q.times, q.first = grown, 0
	}
	q.times[(q.first+q.n)%len(q.times)] = t
	q.n++
}

// pop returns the oldest, or false if there is none.
func (q *sendTimes) pop() (time.Time, bool) {
	if q.n == 0 {
		return time.Time{}, false
	}
	t := q.times[q.first]
	q.first = (q.first + 1) % len(q.times)
	q.n--
	return t, true
}
