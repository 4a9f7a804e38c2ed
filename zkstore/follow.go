package zkstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// noticeRetention is how long a change notice stays for brokers that were away; Kafka's ZkNodeChangeNotificationListener
// has the same 15 minutes.
const noticeRetention = 15 * time.Minute

// Follower replays queues of change notices, each to be taken as "read that again". It remembers how far it came, so
// keep it over sessions and Run it on each.
type Follower struct {
	queues []*queue
	one    sync.Mutex // held while a notice is applied
	now    func() time.Time
}

// queue is one folder of sequential znodes, touched by the one goroutine that Run has for it.
type queue struct {
	path, prefix string
	apply        func(ctx context.Context, z *Store, data []byte) error
	last         int64            // the highest sequence number seen; each is applied once
	created      map[string]int64 // ctime in ms of what is in the queue, 0 for what is never purged
}

// FollowConfigs follows /config/changes. apply is called for each notice, one at a time; an error is logged and passed over.
func FollowConfigs(apply func(context.Context, *Store, meta.Entity) error) *Follower {
	return newFollower(&queue{path: configChangesPath, prefix: configChangePrefix,
		apply: func(ctx context.Context, z *Store, data []byte) error {
			e, err := decodeConfigChange(data)
			if err != nil {
				return err
			}
			return apply(ctx, z, e)
		}})
}

// FollowACLs follows /kafka-acl-changes and /kafka-acl-extended-changes.
func FollowACLs(apply func(context.Context, *Store, ACLResource) error) *Follower {
	then := func(decode func([]byte) (ACLResource, error)) func(context.Context, *Store, []byte) error {
		return func(ctx context.Context, z *Store, data []byte) error {
			r, err := decode(data)
			if err != nil {
				return err
			}
			return apply(ctx, z, r)
		}
	}
	return newFollower(
		&queue{path: literalACLChanges, prefix: aclChangePrefix, apply: then(decodeLiteralACLChange)},
		&queue{path: extendedACLChanges, prefix: aclChangePrefix, apply: then(decodeExtendedACLChange)})
}

// FollowTokens follows /delegation_token/token_changes; apply gets the token's id.
func FollowTokens(apply func(context.Context, *Store, string) error) *Follower {
	return newFollower(&queue{path: tokenChangesPath, prefix: tokenChangePrefix,
		apply: func(ctx context.Context, z *Store, data []byte) error { return apply(ctx, z, string(data)) }})
}

func newFollower(queues ...*queue) *Follower {
	for _, q := range queues {
		q.last = -1
		q.created = map[string]int64{}
	}
	return &Follower{queues: queues, now: time.Now}
}

// Run follows until the context or the session ends and returns why. Notices older than 15 minutes are removed, as
// every Kafka broker does.
func (f *Follower) Run(ctx context.Context, z *Store) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for _, q := range f.queues {
		running.Go(func() { cancel(f.follow(ctx, z, q)) })
	}
	running.Wait()
	return context.Cause(ctx)
}

func (f *Follower) follow(ctx context.Context, z *Store, q *queue) error {
	if err := z.s.ensure(ctx, q.path); err != nil {
		return err
	}
	w := z.s.watches.subscribe(watchKey{q.path, childWatch}, false)
	defer w.Stop()
	for {
		if err := f.scan(ctx, z, q); err != nil {
			return err
		}
		select {
		case <-w.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// scan applies what is new and removes what is old.
func (f *Follower) scan(ctx context.Context, z *Store, q *queue) error {
	nodes, err := z.s.children(ctx, q.path)
	if err != nil {
		return err
	}
	slices.Sort(nodes)
	for _, node := range nodes {
		if _, known := q.created[node]; known {
			continue
		}
		if err := f.take(ctx, z, q, node); err != nil {
			return err
		}
	}
	for node := range q.created {
		if _, there := slices.BinarySearch(nodes, node); !there {
			delete(q.created, node)
		}
	}
	limit := f.now().Add(-noticeRetention).UnixMilli()
	for node, created := range q.created {
		if created == 0 || created >= limit {
			continue
		}
		if err := z.s.delete(ctx, q.path+"/"+node, anyVersion); err != nil {
			return err
		}
		delete(q.created, node)
	}
	return nil
}

// take reads one notice and applies it if it is new. Only errors that end the following are returned.
func (f *Follower) take(ctx context.Context, z *Store, q *queue, node string) error {
	at := q.path + "/" + node
	n, err := z.s.get(ctx, at)
	switch {
	case errors.Is(err, ErrNoNode): // purged by another broker
		return nil
	case err != nil && ends(err):
		return err
	case err != nil:
		z.s.log.Warn("change notice cannot be read", zap.String("path", at), zap.Error(err))
		return nil
	}
	q.created[node] = n.stat.Ctime
	if n.data == nil {
		q.created[node] = 0 // Kafka never purges such, perhaps they are somebody else's
	}
	sequence, err := strconv.ParseInt(strings.TrimPrefix(node, q.prefix), 10, 64)
	if err != nil || sequence <= q.last {
		return nil
	}
	q.last = sequence
	f.one.Lock()
	defer f.one.Unlock()
	if n.data == nil {
		err = errNoData
	} else {
		err = q.apply(ctx, z, n.data)
	}
	if err != nil && ctx.Err() == nil {
		z.s.log.Warn("change notice was not applied", zap.String("path", at), zap.Error(err))
	}
	return nil
}

// encodeConfigChange writes {"version":2,"entity_path":"users/alice/clients/app%20one"}.
func encodeConfigChange(e meta.Entity) []byte {
	return append(appendString([]byte(`{"version":2,"entity_path":`), e.String()), '}')
}

// decodeConfigChange reads that, and version 1: {"version":1,"entity_type":"topics","entity_name":"t"}.
func decodeConfigChange(data []byte) (e meta.Entity, err error) {
	o, err := parseObject(data)
	if err != nil {
		return e, err
	}
	version, err := mandatory(o, "version", asInt[int](32))
	if err != nil {
		return e, err
	}
	var entityType string
	switch version {
	case 1:
		if entityType, err = mandatory(o, "entity_type", asString); err != nil {
			return e, err
		}
		e.Name, err = mandatory(o, "entity_name", asString)
	case 2:
		var path string
		path, err = mandatory(o, "entity_path", asString)
		entityType, e.Name, _ = strings.Cut(path, "/")
	default:
		err = fmt.Errorf("version %d", version)
	}
	if err != nil {
		return e, err
	}
	e.Type = meta.EntityType(entityType)
	switch e.Type {
	case meta.TopicEntity, meta.ClientEntity, meta.UserEntity, meta.BrokerEntity, meta.IPEntity:
	default:
		return e, fmt.Errorf("entity type %.40q", entityType)
	}
	if e.Name == "" {
		return e, fmt.Errorf("no entity name")
	}
	return e, nil
}
