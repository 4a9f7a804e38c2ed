package group

import "time"

// Timer is a function that runs when its time has come. Met by *coord.Timer, for which putting it off is cheap: every heartbeat does.
type Timer interface {
	Stop()
	Reset(d time.Duration)
}

// alarm is a timer made when it is first set.
type alarm struct{ timer Timer }

// set lets the alarm ring after d and not at the time it was set to before. ring must be the same function every time.
func (a *alarm) set(env Env, d time.Duration, ring func()) {
	if a.timer == nil {
		a.timer = env.After(d, ring)
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
