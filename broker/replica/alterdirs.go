package replica

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ErrUnknownDir: there is no such log directory.
var ErrUnknownDir = errors.New("unknown log directory")

// DirChange asks for a replica to lie in a log directory of this broker.
type DirChange struct {
	Partition meta.TopicPartition
	Dir       string
}

// AlterLogDirs moves replicas to other log directories, or remembers where those are to be made that are not here yet. Errors
// are one per change, in order; nil says that the move has begun, goes on, or is not needed. The checks and their order are those
// of Kafka's ReplicaManager.alterReplicaLogDirs.
func (m *Manager) AlterLogDirs(changes []DirChange) []error {
	m.control.Lock()
	defer m.control.Unlock()
	results := make([]error, len(changes))
	for i, c := range changes {
		if results[i] = m.alterLogDir(c); results[i] != nil {
			m.logger.Warn("a replica's log directory was not changed", zap.String("topic", c.Partition.Topic), zap.Int32("partition", c.Partition.Partition),
				zap.String("dir", c.Dir), zap.Error(results[i]))
		}
	}
	return results
}

func (m *Manager) alterLogDir(c DirChange) error {
	if err := storage.CheckFutureName(c.Partition); err != nil {
		return err
	}
	if known, err := m.logs.DirState(c.Dir); err != nil {
		return err
	} else if !known {
		return fmt.Errorf("%s: %w", c.Dir, ErrUnknownDir)
	}
	p, err := m.partition(c.Partition)
	if err != nil {
		if _, made := m.logs.Log(c.Partition); !made {
			m.logs.PreferDir(c.Partition, c.Dir)
		}
		return err
	}
	return p.alterDir(c.Dir)
}

// alterDir begins, changes or ends a move; control is held.
func (p *Partition) alterDir(dir string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.offlineLocked(); err != nil {
		return err
	}
	if future, ok := p.m.logs.FutureLog(p.tp); ok {
		if future.Dir() == dir {
			p.resumeMoveLocked()
			return nil
		}
		p.mu.move = nil
		if err := p.m.logs.DeleteFuture(p.tp); err != nil {
			return err
		}
	}
	if p.mu.log.Dir() == dir {
		return nil
	}
	future, err := p.m.logs.GetOrCreate(p.tp, storage.CreateOptions{TopicID: p.mu.topicID, Dir: dir, Future: true})
	if err != nil {
		return fmt.Errorf("make the future log of %s in %s: %w", p.tp, dir, err)
	}
	p.startMoveLocked(future)
	return nil
}
