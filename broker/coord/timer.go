package coord

import "time"

// Timer runs a function on the shard's goroutine when its time has come. It is for that goroutine alone.
type Timer struct {
	core     *core
	f        func()
	armed    bool
	deadline time.Time
	alarm    *time.Timer // goes off at or before deadline
	at       time.Time   // when
}

// After makes a timer that runs f on the shard's goroutine after d, once.
func (e *Env) After(d time.Duration, f func()) *Timer {
	t := &Timer{core: e.core, f: f}
	t.Reset(d)
	return t
}

// Stop makes sure that the function does not run from now on. It may be called again, and on nil.
func (t *Timer) Stop() {
	if t == nil || !t.armed {
		return
	}
	t.armed = false
	t.alarm.Stop()
	t.at = time.Time{}
}

// Reset makes the function run after d from now, whether it ran before, is still to run, or was stopped.
func (t *Timer) Reset(d time.Duration) {
	now := time.Now()
	wasArmed := t.armed
	t.armed, t.deadline = true, now.Add(d)
	if wasArmed && !t.at.After(t.deadline) {
		return // heartbeats put a timer off over and over: the alarm finds out when it goes off
	}
	t.ring(d, t.deadline)
}

func (t *Timer) ring(d time.Duration, at time.Time) {
	t.at = at
	if t.alarm == nil {
		t.alarm = time.AfterFunc(d, func() { t.core.mail.put(t.due) })
		return
	}
	t.alarm.Reset(d)
}

// due runs on the shard's goroutine after the alarm went off.
func (t *Timer) due() {
	now := time.Now()
	switch {
	case !t.armed, t.at.After(now): // stopped meanwhile, or set anew
	case t.deadline.After(now):
		t.ring(t.deadline.Sub(now), t.deadline)
	default:
		t.armed = false
		t.f()
	}
}
