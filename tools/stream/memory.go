package stream

import "sync"

// memory counts the bytes that are on their way to the brokers (buffer.memory).
type memory struct {
	mu struct {
		sync.Mutex
		used int64 // Invariant: 0 <= used, and used <= limit unless one message alone is larger
	}
	limit int64
	freed *sync.Cond // of mu
}

func newMemory(limit int64) *memory {
	m := &memory{limit: max(limit, 1)}
	m.freed = sync.NewCond(&m.mu)
	return m
}

// take waits until n bytes fit. A message larger than everything waits until it is alone.
func (m *memory) take(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.mu.used > 0 && m.mu.used+n > m.limit {
		m.freed.Wait()
	}
	m.mu.used += n
}

func (m *memory) give(n int64) {
	m.mu.Lock()
	m.mu.used -= n
	m.mu.Unlock()
	m.freed.Broadcast()
}

// drain waits until nothing is taken.
func (m *memory) drain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.mu.used > 0 {
		m.freed.Wait()
	}
}
