package zkstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"
)

// errLost means the connection broke before the answer came. Reads are simply sent again; for writes the outcome is
// unknown, and the operations below tell their caller so by lost.
var errLost = errors.New("connection lost")

const anyVersion = -1

// begin admits one more goroutine to the session unless it has ended; the goroutine calls running.Done.
func (s *Session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err != nil {
		return false
	}
	s.running.Add(1)
	return true
}

type answer[T any] struct {
	value T
	err   error
}

// call runs f, one blocking request of the library, once a server has our session and fewer than MaxInFlight requests
// are unanswered. The library knows no context: when ours ends first the request is left to itself, keeps its slot
// until the library lets go of it, and errLost is among the errors returned.
func call[T any](ctx context.Context, s *Session, f func() (T, error)) (T, error) {
	var none T
	if err := s.connected(ctx); err != nil {
		return none, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.done:
		return none, s.Err()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if !s.begin() {
		<-s.slots
		return none, s.Err()
	}
	answered := make(chan answer[T], 1) // from the goroutine below, which must not wait for us
	go func() {
		defer s.running.Done()
		began := time.Now()
		v, err := f()
		<-s.slots
		s.o.Metrics.request(time.Since(began))
		answered <- answer[T]{v, err}
	}()
	select {
	case a := <-answered:
		return a.value, translate(a.err)
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", errLost, ctx.Err())
	}
}

// translate turns the library's errors into ours.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, zk.ErrNoNode):
		return ErrNoNode
	case errors.Is(err, zk.ErrNodeExists):
		return ErrNodeExists
	case errors.Is(err, zk.ErrBadVersion):
		return ErrBadVersion
	case errors.Is(err, zk.ErrNotEmpty):
		return ErrNotEmpty
	case errors.Is(err, zk.ErrNoAuth):
		return ErrNoAuth
	case errors.Is(err, zk.ErrAuthFailed):
		return ErrAuthFailed
	case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrNoServer), errors.Is(err, zk.ErrClosing),
		errors.Is(err, zk.ErrSessionExpired), errors.Is(err, zk.ErrSessionMoved):
		return errLost // whether the session has ended is for the session to say
	}
	return err
}

// again repeats a request until its outcome is known. lost tells that an attempt before the last one may have been carried out.
func again[T any](ctx context.Context, s *Session, f func() (T, error)) (v T, lost bool, err error) {
	for {
		v, err = call(ctx, s, f)
		if err == errLost {
			lost = true
			continue
		}
		if errors.Is(err, errLost) || lost && unanswered(err) {
			err = fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
		}
		return v, lost, err
	}
}

// unanswered reports whether err is not something the server said.
func unanswered(err error) bool {
	return errors.Is(err, ErrExpired) || errors.Is(err, ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// read is again for requests that change nothing.
func read[T any](ctx context.Context, s *Session, f func() (T, error)) (T, error) {
	for {
		v, err := call(ctx, s, f)
		if err == errLost {
			continue
		}
		if errors.Is(err, errLost) {
			err = ctx.Err()
		}
		return v, err
	}
}

func failed(op, path string, err error) error { return fmt.Errorf("%s %s: %w", op, path, err) }

// znode is what a read returns. Data is nil for a znode without data and empty for one with no bytes: Kafka tells them apart.
type znode struct {
	data []byte
	stat *zk.Stat
}

// get reads a znode, setting a watch if one is wanted.
func (s *Session) get(ctx context.Context, path string) (znode, error) {
	for {
		n, err := s.getOnce(ctx, path)
		if errors.Is(err, ErrNoNode) && s.watches.wanted(watchKey{path, dataWatch}) == wantAlways {
			// Reading what is not there sets no watch; asking whether it is there does.
			exists, existsErr := s.exists(ctx, path)
			if existsErr != nil {
				return znode{}, existsErr
			}
			if exists {
				continue
			}
		}
		if err != nil {
			return znode{}, failed("read", path, err)
		}
		return n, nil
	}
}

func (s *Session) getOnce(ctx context.Context, path string) (znode, error) {
	arming := s.watches.arm(watchKey{path, dataWatch}, wantPresent)
	n, err := read(ctx, s, func() (n znode, err error) {
		if arming == nil {
			n.data, n.stat, err = s.conn.Get(s.absolute(path))
		} else {
			n.data, n.stat, _, err = s.conn.GetW(s.absolute(path))
		}
		return n, err
	})
	arming.done(err == nil)
	return n, err
}

// exists asks whether a znode exists, setting a watch if one is wanted.
func (s *Session) exists(ctx context.Context, path string) (bool, error) {
	arming := s.watches.arm(watchKey{path, dataWatch}, wantAlways)
	found, err := read(ctx, s, func() (found bool, err error) {
		if arming == nil {
			found, _, err = s.conn.Exists(s.absolute(path))
		} else {
			found, _, _, err = s.conn.ExistsW(s.absolute(path))
		}
		return found, err
	})
	arming.done(err == nil)
	if err != nil {
		return false, failed("look for", path, err)
	}
	return found, nil
}

// children lists a znode's children in no order, setting a watch if one is wanted.
func (s *Session) children(ctx context.Context, path string) ([]string, error) {
	arming := s.watches.arm(watchKey{path, childWatch}, wantAlways)
	names, err := read(ctx, s, func() (names []string, err error) {
		if arming == nil {
			names, _, err = s.conn.Children(s.absolute(path))
		} else {
			names, _, _, err = s.conn.ChildrenW(s.absolute(path))
		}
		return names, err
	})
	arming.done(err == nil)
	if err != nil {
		return nil, failed("list", path, err)
	}
	return names, nil
}

// create makes a persistent znode. When an earlier attempt was lost and the znode is there with just this data, it is ours.
func (s *Session) create(ctx context.Context, path string, data []byte) error {
	_, lost, err := again(ctx, s, func() (string, error) {
		return s.conn.Create(s.absolute(path), data, zk.FlagPersistent, s.acl(path))
	})
	if lost && err == ErrNodeExists {
		_, err = s.settle(ctx, path, data, 0, err)
	}
	if err != nil {
		return failed("create", path, err)
	}
	return nil
}

// createSequential makes a persistent znode under a name that prefix begins and ZooKeeper completes. After a lost answer
// there may be two; their readers take them as "look again".
func (s *Session) createSequential(ctx context.Context, prefix string, data []byte) error {
	_, _, err := again(ctx, s, func() (string, error) {
		return s.conn.Create(s.absolute(prefix), data, zk.FlagSequence, s.acl(prefix))
	})
	if err != nil {
		return failed("create", prefix, err)
	}
	return nil
}

// set replaces a znode's data if it still has the version, and returns the new one. When an earlier attempt was lost
// and the znode now is one version on with just this data, that attempt did it.
func (s *Session) set(ctx context.Context, path string, data []byte, version int32) (int32, error) {
	stat, lost, err := again(ctx, s, func() (*zk.Stat, error) { return s.conn.Set(s.absolute(path), data, version) })
	if lost && err == ErrBadVersion {
		stat, err = s.settle(ctx, path, data, version+1, err)
	}
	if err != nil {
		return 0, failed("write", path, err)
	}
	return stat.Version, nil
}

// delete removes a znode if it has the version. That it is gone already is no error.
func (s *Session) delete(ctx context.Context, path string, version int32) error {
	_, _, err := again(ctx, s, func() (struct{}, error) {
		return struct{}{}, s.conn.Delete(s.absolute(path), version)
	})
	if err != nil && err != ErrNoNode {
		return failed("delete", path, err)
	}
	return nil
}

// settle decides what a lost answer was, now that a repetition failed with refusal: the earlier attempt did the work if
// the znode has just the data and version it would have left.
func (s *Session) settle(ctx context.Context, path string, data []byte, version int32, refusal error) (*zk.Stat, error) {
	n, err := s.getOnce(ctx, path)
	switch {
	case errors.Is(err, ErrNoNode):
		return nil, refusal
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	case n.stat.Version == version && string(n.data) == string(data) && (n.data == nil) == (data == nil):
		return n.stat, nil
	}
	return nil, refusal
}
