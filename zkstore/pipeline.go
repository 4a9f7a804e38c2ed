package zkstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// pipeline calls do for every index below n, as many at a time as the session may have unanswered requests, and returns
// when all have returned. An error of do ends the whole: no more calls are begun, those running are cancelled,
// and it is returned. What concerns one item alone is for do to note by itself.
func (s *Session) pipeline(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	if n == 0 {
		return ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range min(n, s.o.MaxInFlight) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// ends reports whether an error concerns the whole of a bulk operation and not just one of its items.
func ends(err error) bool {
	return errors.Is(err, ErrFenced) || errors.Is(err, ErrUnknownOutcome) || unanswered(err) || errors.Is(err, errNoFence)
}
