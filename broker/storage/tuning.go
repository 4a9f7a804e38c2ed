package storage

import (
	"sync/atomic"
	"time"
)

// Tuning is what of [ManagerOptions] may change while the manager runs.
type Tuning struct {
	DirDeleteDelay       time.Duration
	ProducerIDExpiration time.Duration
	VerifyTransactions   bool
}

// tuning is Tuning as the logs read it.
type tuning struct {
	dirDeleteDelay       atomic.Int64 // nanoseconds
	producerExpirationMs atomic.Int64
	verifyTxns           atomic.Bool
}

func (t *tuning) set(to Tuning) {
	t.dirDeleteDelay.Store(int64(to.DirDeleteDelay))
	t.producerExpirationMs.Store(to.ProducerIDExpiration.Milliseconds())
	t.verifyTxns.Store(to.VerifyTransactions)
}

// Tune changes settings from now on: a delay for what is deleted later, the expiration at its next check.
func (m *Manager) Tune(t Tuning) { m.env.tuning.set(t) }
