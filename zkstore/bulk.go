package zkstore

import (
	"context"
	"errors"
	"sync"

	"github.com/go-zookeeper/zk"
)

// results gathers what became of the items of a bulk operation. What concerns one item alone goes into broken.
type results[K comparable, V any] struct {
	sync.Mutex
	values map[K]V
	broken map[K]error
}

func newResults[K comparable, V any](n int) *results[K, V] {
	return &results[K, V]{values: make(map[K]V, n), broken: map[K]error{}}
}

// note takes one result. The error it returns, if any, concerns the whole.
func (r *results[K, V]) note(key K, v V, err error) error {
	r.Lock()
	defer r.Unlock()
	switch {
	case err == nil:
		r.values[key] = v
	case ends(err):
		return err
	default:
		r.broken[key] = err
	}
	return nil
}

// collect reads one znode for every key. Keys whose znode does not exist end up in neither map.
func collect[K comparable, V any](ctx context.Context, s *Session, keys []K, path func(K) string, decode func(K, znode) (V, error)) (map[K]V, map[K]error, error) {
	out := newResults[K, V](len(keys))
	note := func(key K, n znode, err error) error {
		var v V
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err == nil {
			v, err = decode(key, n)
		}
		return out.note(key, v, err)
	}
	together, singly := plan(s, keys, path)
	var mu sync.Mutex // guards singly while the first pipeline runs
	err := s.pipeline(ctx, (len(together)+readsPerMulti-1)/readsPerMulti, func(ctx context.Context, i int) error {
		part := together[i*readsPerMulti : min((i+1)*readsPerMulti, len(together))]
		paths := make([]string, len(part))
		for j, key := range part {
			paths[j] = path(key)
		}
		readings, err := s.readMany(ctx, paths)
		if err != nil && ends(err) {
			return err
		}
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			singly = append(singly, part...)
			return nil
		}
		for j, r := range readings {
			if err := note(part[j], r.znode, r.err); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.pipeline(ctx, len(singly), func(ctx context.Context, i int) error {
			n, err := s.get(ctx, path(singly[i]))
			return note(singly[i], n, err)
		})
	}
	if err == nil && len(together) > 0 {
		// The library tells a new server how far we have seen the tree go, and does not see what readMany sees.
		_, err = s.exists(ctx, brokersPath)
	}
	return out.values, out.broken, err
}

// plan divides keys into those to read many at a time and those to read one by one: few, or under a watch.
func plan[K comparable](s *Session, keys []K, path func(K) string) (together, singly []K) {
	const few = 16
	if len(keys) < few || !s.canMultiRead() {
		return nil, keys
	}
	for _, key := range keys {
		if s.watches.wanted(watchKey{path(key), dataWatch}) == wantNot {
			together = append(together, key)
		} else {
			singly = append(singly, key)
		}
	}
	return together, singly
}

// write is one of many: a znode to create without a version, or to set on condition of one.
type write struct {
	path    string
	data    []byte
	version int32
	create  bool
}

const writesPerMulti = 64

// writeMany carries out writes behind a fence and calls done for each, from several goroutines, with its outcome and
// the znode's new version. done returns an error to end the whole.
//
// Kafka makes a multi of each write. So do we, up to as many as fit into one; beyond that, as when a broker with
// thousands of partitions dies, one multi carries many, because ZooKeeper's cost is by transaction. A multi that
// failed changed nothing; its writes are then made one by one, each to its own outcome.
func (s *Session) writeMany(ctx context.Context, f Fence, writes []write, done func(i int, version int32, err error) error) error {
	single := func(ctx context.Context, i int, lost bool) error {
		version, err := s.writeOne(ctx, f, writes[i], lost)
		return done(i, version, err)
	}
	if f.open || len(writes) <= writesPerMulti {
		return s.pipeline(ctx, len(writes), func(ctx context.Context, i int) error { return single(ctx, i, false) })
	}
	return s.pipeline(ctx, (len(writes)+writesPerMulti-1)/writesPerMulti, func(ctx context.Context, part int) error {
		from, to := part*writesPerMulti, min((part+1)*writesPerMulti, len(writes))
		versions, lost, err := s.writeTogether(ctx, f, writes[from:to])
		if err != nil && ends(err) {
			return err
		}
		for i := from; i < to; i++ {
			if err == nil {
				err := done(i, versions[i-from], nil)
				if err != nil {
					return err
				}
			} else if err := single(ctx, i, lost); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Session) writeOne(ctx context.Context, f Fence, w write, lost bool) (int32, error) {
	if w.create {
		return 0, s.createFenced(ctx, f, w.path, w.data, lost)
	}
	return s.setFenced(ctx, f, w.path, w.data, w.version, lost)
}

// writeTogether makes one multi of a fence and writes. An error tells of none of them in particular.
func (s *Session) writeTogether(ctx context.Context, f Fence, writes []write) (versions []int32, lost bool, err error) {
	ops := make([]any, len(writes))
	for i, w := range writes {
		if w.create {
			ops[i] = s.createRequest(w.path, w.data, zk.FlagPersistent)
		} else {
			ops[i] = s.setRequest(w.path, w.data, w.version)
		}
	}
	answers, lost, err := s.guarded(ctx, f, ops...)
	if err != nil {
		return nil, lost, err
	}
	versions = make([]int32, len(writes))
	for i, a := range answers {
		if a.Stat != nil {
			versions[i] = a.Stat.Version
		}
	}
	return versions, lost, nil
}
