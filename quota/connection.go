package quota

import (
	"net/netip"
	"sync"
	"time"
)

// ConnectionLimits say how many connections a second may be accepted. Zero means no limit.
type ConnectionLimits struct {
	Broker      float64            // max.connection.creation.rate
	PerListener map[string]float64 // listener.name.<l>.max.connection.creation.rate, by listener name
	// Protected is the listener that the broker-wide rate does not concern: brokers among themselves, if there are other
	// listeners. Empty: none.
	Protected string
}

// Connections measures how fast connections come, for the broker and each listener. Safe for concurrent use.
type Connections struct {
	num  int
	size time.Duration

	mu struct {
		sync.Mutex
		limits    ConnectionLimits
		broker    Window
		listeners map[string]*Window
	}
}

// NewConnections measures over num samples of size.
func NewConnections(num int, size time.Duration, limits ConnectionLimits) *Connections {
	c := &Connections{num: num, size: size}
	c.mu.limits = limits
	c.mu.broker = Window{Num: num, Size: size}
	c.mu.listeners = make(map[string]*Window)
	return c
}

// SetLimits replaces the limits; what was measured stays.
func (c *Connections) SetLimits(limits ConnectionLimits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.limits = limits
}

// Listener records a connection on a listener and returns for how long accepting has to pause before it is taken up: never longer
// than one sample, since the next connection is asked about again.
func (c *Connections) Listener(listener string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.mu.listeners[listener]
	if w == nil {
		w = &Window{Num: c.num, Size: c.size}
		c.mu.listeners[listener] = w
	}
	w.Record(1, now)
	delay := w.Delay(c.mu.limits.PerListener[listener], now)
	if listener != c.mu.limits.Protected {
		c.mu.broker.Record(1, now)
		delay = max(delay, c.mu.broker.Delay(c.mu.limits.Broker, now))
	}
	return min(delay, c.size)
}

// IP records a connection of an address. Rates per address are a dynamic quota, of which there is none yet.
func (c *Connections) IP(string, netip.Addr, time.Time) time.Duration { return 0 }
