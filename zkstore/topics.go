package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TopicNames lists the topics, sorted.
func (z *Store) TopicNames(ctx context.Context) ([]string, error) { return nil, errPending }

// WatchTopics tells of topics being added or removed; [Store.TopicNames] re-arms it.
func (z *Store) WatchTopics() *Watch { return nil }

// WatchTopicNodes tells of topics whose znode was rewritten (partitions added, reassignment); [Store.Topics] re-arms it
// for the topics it reads and Take returns the names of those that changed.
func (z *Store) WatchTopicNodes() *Watch { return nil }

// Topics reads many topic znodes at once. Topics without a znode are in neither map; unreadable ones are in broken.
func (z *Store) Topics(ctx context.Context, names []string) (topics map[string]meta.TopicAssignment, broken map[string]error, err error) {
	return nil, nil, errPending
}

// Topic reads one topic znode; [ErrNoNode] when the topic does not exist.
func (z *Store) Topic(ctx context.Context, name string) (meta.TopicAssignment, error) {
	return meta.TopicAssignment{}, errPending
}

// TopicExists reports whether the topic has a znode.
func (z *Store) TopicExists(ctx context.Context, name string) (bool, error) {
	return false, errPending
}

// CreateTopic writes the topic's config, then the topic: from then on it exists. [ErrNodeExists] when it already did.
func (z *Store) CreateTopic(ctx context.Context, name string, config map[string]string, a meta.TopicAssignment) error {
	return errPending
}

// SetTopic rewrites a topic znode whatever its version: the controller under its fence, CreatePartitions [Unfenced].
func (z *Store) SetTopic(ctx context.Context, f Fence, name string, a meta.TopicAssignment) error {
	return errPending
}

// DeleteTopic removes, in this order, the topic's tree, its config and its deletion marker, each under the fence.
func (z *Store) DeleteTopic(ctx context.Context, f Fence, name string) error { return errPending }
