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

// bulk gathers the results of a pipeline over keys: values, and per-item errors.
type bulk[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V
	broken map[K]error
}

// collect calls get for every key. Keys whose znode does not exist end up in neither map.
func collect[K comparable, V any](ctx context.Context, s *Session, keys []K, get func(context.Context, K) (V, error)) (map[K]V, map[K]error, error) {
	return gather(ctx, s, keys, get, true)
}

// attempt is collect for writes: a missing znode is an error like any other.
func attempt[K comparable, V any](ctx context.Context, s *Session, keys []K, write func(context.Context, K) (V, error)) (map[K]V, map[K]error, error) {
	return gather(ctx, s, keys, write, false)
}

func gather[K comparable, V any](ctx context.Context, s *Session, keys []K, do func(context.Context, K) (V, error), skipMissing bool) (map[K]V, map[K]error, error) {
	b := bulk[K, V]{values: make(map[K]V, len(keys)), broken: map[K]error{}}
	err := s.pipeline(ctx, len(keys), func(ctx context.Context, i int) error {
		v, err := do(ctx, keys[i])
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case err == nil:
			b.values[keys[i]] = v
		case ends(err):
			return err
		case skipMissing && errors.Is(err, ErrNoNode):
		default:
			b.broken[keys[i]] = err
		}
		return nil
	})
	return b.values, b.broken, err
}
