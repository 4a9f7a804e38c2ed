package zkstore

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ConsumerNode is an ephemeral znode by which a group shows a member, or who owns a partition, as Kafka 0.8's consumers did themselves
// (ZkUtils.scala of 0.8.2):
//
//	/consumers/<group>/ids/<member id>             {"version":1,"subscription":{"orders":1},"pattern":"static","timestamp":"1416968888888"}
//	/consumers/<group>/owners/<topic>/<partition>  <member id>-0
type ConsumerNode struct{ path string }

func consumerIDsPath(group string) string    { return GroupPath(group) + "/ids" }
func consumerOwnersPath(group string) string { return GroupPath(group) + "/owners" }

// ConsumerIDNode is where a member of a group is shown.
func ConsumerIDNode(group, member string) ConsumerNode {
	return ConsumerNode{consumerIDsPath(group) + "/" + pathName(member)}
}

// ConsumerOwnerNode is where the owner of a partition is shown.
func ConsumerOwnerNode(group string, tp meta.TopicPartition) ConsumerNode {
	return ConsumerNode{consumerOwnersPath(group) + "/" + pathName(tp.Topic) + "/" + strconv.Itoa(int(tp.Partition))}
}

// Path is the node's path.
func (n ConsumerNode) Path() string { return n.path }

// ConsumerID is what is written of a member: one stream for each topic it subscribes to.
func ConsumerID(topics []string, at time.Time) []byte {
	topics = slices.Clone(topics)
	slices.Sort(topics)
	b := []byte(`{"version":1,"subscription":{`)
	for i, topic := range slices.Compact(topics) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, topic), `:1`...)
	}
	b = append(b, `},"pattern":"static","timestamp":"`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	return append(b, `"}`...)
}

// ConsumerOwner is what is written of an owner: its first stream.
func ConsumerOwner(member string) []byte { return []byte(member + "-0") }

// ConsumerWrite changes one of these znodes: Data nil removes it. Exists says that it is this session's.
type ConsumerWrite struct {
	Node   ConsumerNode
	Data   []byte
	Exists bool
}

// WriteConsumers carries writes out, many to a multi and one multi at a time, for nobody waits for them. Each node keeps its own
// outcome in broken: [ErrNodeExists] is one of another session, which is left alone. An error of the whole leaves the outcome of all
// unknown.
func (z *Store) WriteConsumers(ctx context.Context, writes []ConsumerWrite) (broken map[ConsumerNode]error, err error) {
	broken = map[ConsumerNode]error{}
	for part := range slices.Chunk(writes, writesPerMulti) {
		err := z.s.writeConsumers(ctx, part)
		if errors.Is(err, ErrNoNode) {
			if err = z.s.ensureConsumerFolders(ctx, part); err == nil {
				err = z.s.writeConsumers(ctx, part)
			}
		}
		if err == nil {
			continue
		}
		if ends(err) {
			return broken, err
		}
		for _, w := range part {
			if err := z.s.writeConsumer(ctx, w); err != nil && ends(err) {
				return broken, err
			} else if err != nil {
				broken[w.Node] = err
			}
		}
	}
	return broken, nil
}

// writeConsumers makes writes in one multi, all or none.
func (s *Session) writeConsumers(ctx context.Context, writes []ConsumerWrite) error {
	ops := make([]any, len(writes))
	for i, w := range writes {
		ops[i] = s.consumerOp(w)
	}
	_, _, err := again(ctx, s, func() ([]zk.MultiResponse, error) { return s.conn.Multi(ops...) })
	return err
}

func (s *Session) ensureConsumerFolders(ctx context.Context, writes []ConsumerWrite) error {
	made := map[string]bool{}
	for _, w := range writes {
		folder := path.Dir(w.Node.path)
		if w.Data == nil || made[folder] {
			continue
		}
		if err := s.ensure(ctx, folder); err != nil {
			return err
		}
		made[folder] = true
	}
	return nil
}

func (s *Session) consumerOp(w ConsumerWrite) any {
	switch {
	case w.Data == nil:
		return &zk.DeleteRequest{Path: s.absolute(w.Node.path), Version: anyVersion}
	case w.Exists:
		return s.setRequest(w.Node.path, w.Data, anyVersion)
	}
	return s.createRequest(w.Node.path, w.Data, zk.FlagEphemeral)
}

// writeConsumer makes one write by itself, whatever there is already.
func (s *Session) writeConsumer(ctx context.Context, w ConsumerWrite) error {
	at := w.Node.path
	if w.Data == nil {
		return s.delete(ctx, at, anyVersion)
	}
	if w.Exists {
		if _, err := s.set(ctx, at, w.Data, anyVersion); !errors.Is(err, ErrNoNode) {
			return err
		}
	}
	_, _, err := again(ctx, s, func() (string, error) {
		return s.conn.Create(s.absolute(at), w.Data, zk.FlagEphemeral, s.acl(at))
	})
	if err == ErrNodeExists {
		n, getErr := s.get(ctx, at)
		if getErr == nil && n.stat.EphemeralOwner == s.ID() {
			_, err = s.set(ctx, at, w.Data, n.stat.Version) // an earlier write whose answer was lost
			return err
		}
	}
	if err != nil {
		return failed("create", at, err)
	}
	return nil
}

// RemoveConsumers removes what is left of a group that is gone: its folders of members and owners, and its own, where nothing is in
// them.
func (z *Store) RemoveConsumers(ctx context.Context, group string) error {
	topics, err := z.s.children(ctx, consumerOwnersPath(group))
	if err != nil && !errors.Is(err, ErrNoNode) {
		return err
	}
	var folders []string
	for _, topic := range topics {
		folders = append(folders, consumerOwnersPath(group)+"/"+topic)
	}
	for _, folder := range append(folders, consumerOwnersPath(group), consumerIDsPath(group), GroupPath(group)) {
		if err := z.s.delete(ctx, folder, anyVersion); err != nil && !errors.Is(err, ErrNotEmpty) {
			return err
		}
	}
	return nil
}
