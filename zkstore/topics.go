package zkstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TopicNames lists the topics, sorted.
func (z *Store) TopicNames(ctx context.Context) ([]string, error) {
	names, err := z.s.children(ctx, topicsPath)
	slices.Sort(names)
	return names, err
}

// WatchTopics tells of topics being added or removed; [Store.TopicNames] re-arms it.
func (z *Store) WatchTopics() *Watch {
	return z.s.watches.subscribe(watchKey{topicsPath, childWatch}, false)
}

// WatchTopicNodes tells of topics whose znode was rewritten (partitions added, reassignment); [Store.Topics] re-arms it
// for the topics it reads and Take returns the names of those that changed.
func (z *Store) WatchTopicNodes() *Watch {
	return z.s.watches.subscribe(watchKey{topicsPath, dataWatch}, true)
}

// Topics reads many topic znodes at once. Topics without a znode are in neither map; unreadable ones are in broken.
func (z *Store) Topics(ctx context.Context, names []string) (topics map[string]meta.TopicAssignment, broken map[string]error, err error) {
	return collect(ctx, z.s, names, TopicPath, topicOf)
}

// Topic reads one topic znode; [ErrNoNode] when the topic does not exist.
func (z *Store) Topic(ctx context.Context, name string) (meta.TopicAssignment, error) {
	n, err := z.s.get(ctx, TopicPath(name))
	if err != nil {
		return meta.TopicAssignment{}, err
	}
	return topicOf(name, n)
}

func topicOf(name string, n znode) (meta.TopicAssignment, error) {
	a, err := decodeTopic(n.data)
	a.Version = n.stat.Version
	return a, unreadable(TopicPath(name), err)
}

// TopicExists reports whether the topic has a znode.
func (z *Store) TopicExists(ctx context.Context, name string) (bool, error) {
	return z.s.exists(ctx, TopicPath(name))
}

// CreateTopic writes the topic's config, then the topic: from then on it exists. [ErrNodeExists] when it already did.
func (z *Store) CreateTopic(ctx context.Context, name string, config map[string]string, a meta.TopicAssignment) error {
	// Asked first, because the config comes first and would replace that of a topic that is there.
	exists, err := z.TopicExists(ctx, name)
	if err != nil {
		return err
	}
	if exists {
		return failed("create", TopicPath(name), ErrNodeExists)
	}
	if err := z.writeConfig(ctx, meta.Entity{Type: meta.TopicEntity, Name: name}, config); err != nil {
		return err
	}
	return z.s.createDeep(ctx, TopicPath(name), encodeTopic(a))
}

// SetTopic rewrites a topic znode whatever its version: the controller under its fence, CreatePartitions [Unfenced].
func (z *Store) SetTopic(ctx context.Context, f Fence, name string, a meta.TopicAssignment) error {
	_, err := z.s.setFenced(ctx, f, TopicPath(name), encodeTopic(a), anyVersion, false)
	return err
}

// DeleteTopic removes, in this order, the topic's tree, its config and its deletion marker, each under the fence. The
// marker goes last so that whoever takes over meanwhile finishes the work.
func (z *Store) DeleteTopic(ctx context.Context, f Fence, name string) error {
	partitions, err := z.s.children(ctx, partitionsPath(name))
	if err != nil && !errors.Is(err, ErrNoNode) {
		return err
	}
	slices.Sort(partitions)
	err = z.s.pipeline(ctx, len(partitions), func(ctx context.Context, i int) error {
		return z.s.deleteTree(ctx, f, partitionsPath(name)+"/"+partitions[i])
	})
	if err != nil {
		return err
	}
	if err := z.s.deleteTree(ctx, f, TopicPath(name)); err != nil {
		return err
	}
	if err := z.s.deleteFenced(ctx, f, ConfigPath(meta.Entity{Type: meta.TopicEntity, Name: name})); err != nil {
		return err
	}
	return z.s.deleteFenced(ctx, f, TopicDeletionPath(name))
}

const topicVersion = 3

// encodeTopic writes
//
//	{"partitions":{"0":[1,2,3]},"topic_id":"..","adding_replicas":{},"removing_replicas":{},"version":3}
//
// without topic_id if there is none. Partitions are in numeric order, as Kafka has them up to ten.
func encodeTopic(a meta.TopicAssignment) []byte {
	ids := slices.Sorted(maps.Keys(a.Partitions))
	replicas := func(b []byte, of func(meta.Assignment) []meta.BrokerID, all bool) []byte {
		b = append(b, '{')
		first := true
		for _, id := range ids {
			list := of(a.Partitions[id])
			if len(list) == 0 && !all {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, '"')
			b = append(appendInt(b, id), `":`...)
			b = appendBrokerIDs(b, list)
		}
		return append(b, '}')
	}
	b := []byte(`{"partitions":`)
	b = replicas(b, func(p meta.Assignment) []meta.BrokerID { return p.Replicas }, true)
	if !a.ID.IsZero() {
		b = append(b, `,"topic_id":`...)
		b = appendString(b, a.ID.String())
	}
	b = append(b, `,"adding_replicas":`...)
	b = replicas(b, func(p meta.Assignment) []meta.BrokerID { return p.Adding }, false)
	b = append(b, `,"removing_replicas":`...)
	b = replicas(b, func(p meta.Assignment) []meta.BrokerID { return p.Removing }, false)
	b = append(b, `,"version":`...)
	return append(appendInt(b, topicVersion), '}')
}

// decodeTopic takes what is there whatever the version says: 1 has partitions only, 2 the replicas being moved, 3 the id.
func decodeTopic(data []byte) (a meta.TopicAssignment, err error) {
	o, err := parseObject(data)
	if err != nil {
		return a, err
	}
	id, err := optional(o, "topic_id", asString, "")
	if err != nil {
		return a, err
	}
	if id != "" {
		if a.ID, err = meta.ParseTopicID(id); err != nil {
			return a, err
		}
	}
	replicas, err := partitionLists(o, "partitions")
	if err != nil {
		return a, err
	}
	adding, err := partitionLists(o, "adding_replicas")
	if err != nil {
		return a, err
	}
	removing, err := partitionLists(o, "removing_replicas")
	if err != nil {
		return a, err
	}
	a.Partitions = make(map[int32]meta.Assignment, len(replicas))
	for p, r := range replicas {
		a.Partitions[p] = meta.Assignment{Replicas: r, Adding: adding[p], Removing: removing[p]}
	}
	return a, nil
}

// partitionLists reads {"0":[1,2],"1":[2,3]}.
func partitionLists(o object, key string) (map[int32][]meta.BrokerID, error) {
	byName, err := optional(o, key, asObject, nil)
	if err != nil {
		return nil, err
	}
	lists := make(map[int32][]meta.BrokerID, len(byName))
	for name := range byName {
		p, err := strconv.ParseInt(name, 10, 32)
		if err != nil || p < 0 {
			return nil, fmt.Errorf("%s: %.40q is not a partition", key, name)
		}
		if lists[int32(p)], err = mandatory(byName, name, asBrokerIDs); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return lists, nil
}
