package zkstore

import (
	"context"
	"errors"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ISRChange is one notice of a leader on inter.broker.protocol.version below 2.7: it changed these partitions' states itself.
type ISRChange struct {
	Node       string // name of the sequential znode, for [Store.DeleteISRChanges]
	Partitions []meta.TopicPartition
	Err        error // not nil: the notice is unreadable; delete it all the same
}

// ISRChanges reads the pending notices, oldest first.
func (z *Store) ISRChanges(ctx context.Context) ([]ISRChange, error) {
	return notices(ctx, z.s, isrChangesPath, func(node string, data []byte, err error) ISRChange {
		c := ISRChange{Node: node, Err: err}
		if err == nil {
			c.Partitions, err = decodePartitionList(data)
			c.Err = unreadable(isrChangesPath+"/"+node, err)
		}
		return c
	})
}

// WatchISRChanges tells of new notices; [Store.ISRChanges] re-arms it.
func (z *Store) WatchISRChanges() *Watch {
	return z.s.watches.subscribe(watchKey{isrChangesPath, childWatch}, false)
}

// DeleteISRChanges removes notices by name.
func (z *Store) DeleteISRChanges(ctx context.Context, f Fence, nodes []string) error {
	return z.deleteNotices(ctx, f, isrChangesPath, nodes)
}

// PublishISRChange adds a notice.
func (z *Store) PublishISRChange(ctx context.Context, tps []meta.TopicPartition) error {
	return z.s.createSequential(ctx, isrChangesPath+"/"+isrChangePrefix, encodePartitionList(tps))
}

// LogDirEvent is one notice of a broker that lost a log directory.
type LogDirEvent struct {
	Node   string // name of the sequential znode, for [Store.DeleteLogDirEvents]
	Broker meta.BrokerID
	Err    error // not nil: the notice is unreadable; delete it all the same
}

// LogDirEvents reads the pending notices, oldest first.
func (z *Store) LogDirEvents(ctx context.Context) ([]LogDirEvent, error) {
	return notices(ctx, z.s, logDirEventsPath, func(node string, data []byte, err error) LogDirEvent {
		e := LogDirEvent{Node: node, Err: err}
		if err == nil {
			e.Broker, err = decodeLogDirEvent(data)
			e.Err = unreadable(logDirEventsPath+"/"+node, err)
		}
		return e
	})
}

// WatchLogDirEvents tells of new notices; [Store.LogDirEvents] re-arms it.
func (z *Store) WatchLogDirEvents() *Watch {
	return z.s.watches.subscribe(watchKey{logDirEventsPath, childWatch}, false)
}

// DeleteLogDirEvents removes notices by name.
func (z *Store) DeleteLogDirEvents(ctx context.Context, f Fence, nodes []string) error {
	return z.deleteNotices(ctx, f, logDirEventsPath, nodes)
}

// PublishLogDirFailure adds a notice that broker lost a log directory.
func (z *Store) PublishLogDirFailure(ctx context.Context, broker meta.BrokerID) error {
	return z.s.createSequential(ctx, logDirEventsPath+"/"+logDirEventPrefix, encodeLogDirEvent(broker))
}

// notices reads the children of a queue, oldest first. Those that vanish meanwhile are left out.
func notices[T any](ctx context.Context, s *Session, queue string, decode func(node string, data []byte, err error) T) ([]T, error) {
	nodes, err := s.children(ctx, queue)
	if err != nil {
		return nil, err
	}
	slices.Sort(nodes)
	read := make([]*T, len(nodes))
	err = s.pipeline(ctx, len(nodes), func(ctx context.Context, i int) error {
		n, err := s.get(ctx, queue+"/"+nodes[i])
		if err != nil && ends(err) {
			return err
		}
		if !errors.Is(err, ErrNoNode) {
			v := decode(nodes[i], n.data, err)
			read[i] = &v
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]T, 0, len(nodes))
	for _, v := range read {
		if v != nil {
			list = append(list, *v)
		}
	}
	return list, nil
}

func (z *Store) deleteNotices(ctx context.Context, f Fence, queue string, nodes []string) error {
	return z.s.pipeline(ctx, len(nodes), func(ctx context.Context, i int) error {
		return z.s.deleteFenced(ctx, f, queue+"/"+nodes[i])
	})
}

// logDirFailed is the only event there is.
const logDirFailed = 1

// encodeLogDirEvent writes {"version":1,"broker":3,"event":1}.
func encodeLogDirEvent(broker meta.BrokerID) []byte {
	b := appendInt([]byte(`{"version":1,"broker":`), broker)
	b = appendInt(append(b, `,"event":`...), logDirFailed)
	return append(b, '}')
}

func decodeLogDirEvent(data []byte) (meta.BrokerID, error) {
	o, err := parseObject(data)
	if err != nil {
		return meta.NoBroker, err
	}
	return mandatory(o, "broker", asInt[meta.BrokerID](32))
}
