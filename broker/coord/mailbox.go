package coord

import "sync"

// mailbox holds the events that wait for a shard.
type mailbox struct {
	mu struct {
		sync.Mutex
		events []func()
		closed bool
	}
	// wake says that there are events. Sent to by put, received by the shard, never closed; capacity 1, it says "look".
	wake chan struct{}
}

func (m *mailbox) init() { m.wake = make(chan struct{}, 1) }

// put adds an event; false if nobody will ever run it.
func (m *mailbox) put(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return false
	}
	m.mu.events = append(m.mu.events, f)
	if len(m.mu.events) == 1 {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take returns the events and leaves spare's room for the next.
func (m *mailbox) take(spare []func()) []func() {
	clear(spare)
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.mu.events
	m.mu.events = spare[:0]
	return events
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed, m.mu.events = true, nil
}
