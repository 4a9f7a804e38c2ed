package zkstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-zookeeper/zk"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Fence stands for a role held at some epoch. A fenced write is a multi whose first operation checks the version of
// the role's epoch znode, so a deposed holder's late write fails with [ErrFenced] and changes nothing.
type Fence struct {
	path    string
	version int32
	open    bool
}

// ControllerFence guards what the controller writes: epochVersion is the version of /controller_epoch that its
// election produced ([Controllership.EpochVersion]), not the epoch itself.
func ControllerFence(epochVersion int32) Fence {
	return Fence{path: controllerEpochPath, version: epochVersion}
}

// PartitionFence guards writes that only the leader of one partition may do, such as a coordinator's offsets: they
// fail once the partition's state has changed.
func PartitionFence(tp meta.TopicPartition, epoch meta.PartitionEpoch) Fence {
	return Fence{path: PartitionStatePath(tp), version: int32(epoch)}
}

// Unfenced is for writes Kafka does not guard. The zero Fence, by contrast, is refused.
func Unfenced() Fence { return Fence{open: true} }

var (
	errNoFence = errors.New("write without a fence")
	errMulti   = errors.New("multi was not answered operation by operation")
)

// guarded carries out one operation behind its fence. A refusal by the operation itself comes back bare, so that the
// caller can compare it; lost is as in again.
func (s *Session) guarded(ctx context.Context, f Fence, op any) (r zk.MultiResponse, lost bool, err error) {
	if f.path == "" {
		return r, false, errNoFence
	}
	check := &zk.CheckVersionRequest{Path: s.absolute(f.path), Version: f.version}
	results, lost, err := again(ctx, s, func() ([]zk.MultiResponse, error) { return s.conn.Multi(check, op) })
	if len(results) != 2 {
		if err == nil {
			err = errMulti
		}
		return r, lost, err
	}
	switch refusal := translate(results[0].Error); {
	case refusal == nil:
		return results[1], lost, translate(results[1].Error)
	case refusal == ErrBadVersion:
		return r, lost, ErrFenced
	default:
		return r, lost, fmt.Errorf("check %s: %w", f.path, refusal)
	}
}

// createFenced is create behind a fence.
func (s *Session) createFenced(ctx context.Context, f Fence, path string, data []byte) error {
	if f.open {
		return s.create(ctx, path, data)
	}
	_, lost, err := s.guarded(ctx, f, &zk.CreateRequest{Path: s.absolute(path), Data: data, Acl: s.acl(path), Flags: zk.FlagPersistent})
	if lost && err == ErrNodeExists {
		_, err = s.settle(ctx, path, data, 0, err)
	}
	if err != nil {
		return failed("create", path, err)
	}
	return nil
}

// setFenced is set behind a fence.
func (s *Session) setFenced(ctx context.Context, f Fence, path string, data []byte, version int32) (int32, error) {
	if f.open {
		return s.set(ctx, path, data, version)
	}
	r, lost, err := s.guarded(ctx, f, &zk.SetDataRequest{Path: s.absolute(path), Data: data, Version: version})
	if lost && err == ErrBadVersion {
		r.Stat, err = s.settle(ctx, path, data, version+1, err)
	}
	if err != nil {
		return 0, failed("write", path, err)
	}
	return r.Stat.Version, nil
}

// deleteFenced is delete behind a fence.
func (s *Session) deleteFenced(ctx context.Context, f Fence, path string) error {
	if f.open {
		return s.delete(ctx, path, anyVersion)
	}
	_, _, err := s.guarded(ctx, f, &zk.DeleteRequest{Path: s.absolute(path), Version: anyVersion})
	if err != nil && err != ErrNoNode {
		return failed("delete", path, err)
	}
	return nil
}
