package transport

import "time"

// mute makes the connection serve nothing for a while, from now on. The later of two ends counts.
func (c *Conn) mute(d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d).UnixNano()
	for {
		old := c.muteUntil.Load()
		if old >= until || c.muteUntil.CompareAndSwap(old, until) {
			return
		}
	}
}

// waitUnmuted returns when the connection may be served.
func (c *Conn) waitUnmuted() error {
	for {
		until := c.muteUntil.Load()
		if until == 0 {
			return nil
		}
		left := time.Until(time.Unix(0, until))
		if left <= 0 {
			if c.muteUntil.CompareAndSwap(until, 0) {
				c.lastActive.Store(time.Now().UnixNano()) // the peer is not to blame for the silence
				return nil
			}
			continue
		}
		if !c.pause(left) {
			return errStopping
		}
	}
}

// pause waits; false if the connection ends or the server is stopping.
func (c *Conn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	c.busy.Add(1)
	defer c.busy.Add(-1)
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	case <-c.srv.stopping:
		return false
	}
}
