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

// guarded carries out operations behind their fence, all or none. When it is an operation that is refused, its error
// comes back bare so that the caller can compare it. lost is as in again.
func (s *Session) guarded(ctx context.Context, f Fence, ops ...any) (answers []zk.MultiResponse, lost bool, err error) {
	if f.path == "" {
		return nil, false, errNoFence
	}
	all := append([]any{&zk.CheckVersionRequest{Path: s.absolute(f.path), Version: f.version}}, ops...)
	answers, lost, err = again(ctx, s, func() ([]zk.MultiResponse, error) { return s.conn.Multi(all...) })
	if len(answers) != len(all) {
		if err == nil {
			err = errMulti
		}
		return nil, lost, err
	}
	switch refusal := translate(answers[0].Error); {
	case err == nil:
		return answers[1:], lost, nil
	case refusal == nil: // operations before the one refused show no error
		return nil, lost, err
	case refusal == ErrBadVersion:
		return nil, lost, ErrFenced
	default:
		return nil, lost, fmt.Errorf("check %s: %w", f.path, refusal)
	}
}

func (s *Session) createRequest(path string, data []byte, flags int32) *zk.CreateRequest {
	return &zk.CreateRequest{Path: s.absolute(path), Data: data, Acl: s.acl(path), Flags: flags}
}

func (s *Session) setRequest(path string, data []byte, version int32) *zk.SetDataRequest {
	return &zk.SetDataRequest{Path: s.absolute(path), Data: data, Version: version}
}

// createFenced is create behind a fence. lost tells that an earlier attempt, in another multi, may have succeeded.
func (s *Session) createFenced(ctx context.Context, f Fence, path string, data []byte, lost bool) error {
	if f.open {
		return s.create(ctx, path, data)
	}
	_, lostToo, err := s.guarded(ctx, f, s.createRequest(path, data, zk.FlagPersistent))
	if (lost || lostToo) && err == ErrNodeExists {
		_, err = s.settle(ctx, path, data, 0, err)
	}
	if err != nil {
		return failed("create", path, err)
	}
	return nil
}

// setFenced is set behind a fence; lost is as in createFenced.
func (s *Session) setFenced(ctx context.Context, f Fence, path string, data []byte, version int32, lost bool) (int32, error) {
	if f.open {
		return s.set(ctx, path, data, version)
	}
	answers, lostToo, err := s.guarded(ctx, f, s.setRequest(path, data, version))
	if err == nil {
		return answers[0].Stat.Version, nil
	}
	if (lost || lostToo) && err == ErrBadVersion {
		var stat *zk.Stat
		if stat, err = s.settle(ctx, path, data, version+1, err); err == nil {
			return stat.Version, nil
		}
	}
	return 0, failed("write", path, err)
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
