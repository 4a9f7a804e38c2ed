package group

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Board shows the members of groups to people. Its methods are called by shards and must not block.
type Board interface {
	// Show replaces what is shown of a group.
	Show(group string, members []Shown)
	// Clear ends showing a group.
	Clear(group string)
	// Forget is Clear, and that the group is gone for good.
	Forget(group string)
}

// Shown is a member as the board shows it. What it subscribes to and what it was assigned is in its own words, which may be large: they
// are read where nobody waits.
type Shown struct {
	ID           string
	Since        time.Time
	Subscription []byte
	Assignment   []byte
}

// Registry is where the members of groups are seen in ZooKeeper, by the znodes of one session. Met by *zkstore.Store.
type Registry interface {
	WriteConsumers(ctx context.Context, writes []zkstore.ConsumerWrite) (broken map[zkstore.ConsumerNode]error, err error)
	RemoveConsumers(ctx context.Context, group string) error
}

// Showcase is the Board in ZooKeeper: /consumers/<group>/ids and /owners, as Kafka 0.8's consumers kept them. What is shown lags
// behind and is never waited for; changes of many groups are written together, and of several changes of one group the last counts.
//
// Its znodes are ephemeral, and only the session that made one removes it. So when a coordinator moves, the old one removes what it
// made, or its session ends, and the new one tries until the names are free; neither can remove what is the other's.
type Showcase struct {
	registry func() Registry // of the present session: another one, another value
	logger   *zap.Logger

	mu struct {
		sync.Mutex
		wanted  map[string][]Shown // what is to be seen
		changed map[string]bool    // groups to look at; true: gone for good, when nothing is wanted
	}
	// wake says that groups have changed. Sent to by Board's methods, received by Run, never closed; capacity 1, it says "look".
	wake chan struct{}

	// Below: Run's goroutine alone.

	session Registry           // that shown was made through
	shown   map[string]picture // what is to be seen now
	later   map[string]later   // groups of which not everything could be written
}

// picture is what was written of a group.
type picture struct {
	members []Shown
	missing map[zkstore.ConsumerNode]bool // of what shows members, nodes that could not be written
	// unsure: the last writing broke off, and of nothing is it known whether it was done. maybe are nodes it may have made.
	unsure bool
	maybe  map[zkstore.ConsumerNode]bool
}

// later is when a group is to be looked at again, and how long after the last time.
type later struct {
	at    time.Time
	pause time.Duration
}

const (
	gatherTime   = 100 * time.Millisecond // changes that come within it are written together
	firstPause   = time.Second            // after a failure
	longestPause = 30 * time.Second
	lookAround   = 2 * time.Second // how often to look for a new session
)

// NewShowcase returns a board that shows nothing before Run.
func NewShowcase(registry func() Registry, logger *zap.Logger) *Showcase {
	c := &Showcase{registry: registry, logger: logger, wake: make(chan struct{}, 1), shown: map[string]picture{}, later: map[string]later{}}
	c.mu.wanted, c.mu.changed = map[string][]Shown{}, map[string]bool{}
	return c
}

// Show implements [Board].
func (c *Showcase) Show(group string, members []Shown) { c.change(group, members, false) }

// Clear implements [Board].
func (c *Showcase) Clear(group string) { c.change(group, nil, false) }

// Forget implements [Board].
func (c *Showcase) Forget(group string) { c.change(group, nil, true) }

func (c *Showcase) change(group string, members []Shown, gone bool) {
	c.mu.Lock()
	if members == nil {
		delete(c.mu.wanted, group)
	} else {
		c.mu.wanted[group] = members
	}
	c.mu.changed[group] = gone || members == nil && c.mu.changed[group]
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends. What is shown then ends with the session.
func (c *Showcase) Run(ctx context.Context) error {
	look := time.NewTicker(lookAround)
	defer look.Stop()
	for pause := firstPause; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if !c.due() {
				continue
			}
		case <-c.wake:
			if !sleep(ctx, gatherTime) {
				return nil
			}
		}
		if err := c.write(ctx); err == nil {
			pause = firstPause
		} else {
			c.logger.Info("members of groups could not be shown in ZooKeeper, trying again", zap.Duration("after", pause), zap.Error(err))
			if !sleep(ctx, pause) {
				return nil
			}
			pause = min(2*pause, longestPause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// due reports whether there is something to do without a change: after a new session everything, and what failed before.
func (c *Showcase) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.registry(); r != c.session {
		c.session, c.shown, c.later = r, map[string]picture{}, map[string]later{}
		for group := range c.mu.wanted {
			c.mu.changed[group] = false
		}
	}
	now := time.Now()
	for group, l := range c.later {
		if _, known := c.mu.changed[group]; !known && now.After(l.at) {
			c.mu.changed[group] = false
		}
	}
	return len(c.mu.changed) > 0
}

// groupsAtOnce bounds what is put together before it is written.
const groupsAtOnce = 256

// write brings what is shown in line with what is wanted.
func (c *Showcase) write(ctx context.Context) error {
	c.due()
	for {
		wanted, gone := c.take()
		if len(wanted) == 0 {
			return nil
		}
		if err := c.writeGroups(ctx, wanted, gone); err != nil {
			c.again(wanted, gone)
			return err
		}
	}
}

// take takes groups that have changed, and tells which of them are gone for good.
func (c *Showcase) take() (wanted map[string][]Shown, gone []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wanted = make(map[string][]Shown, min(len(c.mu.changed), groupsAtOnce))
	for group, isGone := range c.mu.changed {
		if len(wanted) == groupsAtOnce {
			break
		}
		wanted[group] = c.mu.wanted[group]
		if isGone {
			gone = append(gone, group)
		}
		delete(c.mu.changed, group)
	}
	return wanted, gone
}

// again puts groups back that were taken, of which it is not known what was written.
func (c *Showcase) again(wanted map[string][]Shown, gone []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for group, members := range wanted {
		if _, changed := c.mu.changed[group]; !changed {
			c.mu.changed[group] = slices.Contains(gone, group)
		}
		p := c.shown[group]
		p.unsure = true
		if p.maybe == nil {
			p.maybe = map[zkstore.ConsumerNode]bool{}
		}
		for node := range nodesOf(group, members) {
			p.maybe[node] = true
		}
		c.shown[group] = p
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Showcase) writeGroups(ctx context.Context, wanted map[string][]Shown, gone []string) error {
	var writes []zkstore.ConsumerWrite
	owner := map[zkstore.ConsumerNode]string{} // the group of a node that is made or changed
	for group, members := range wanted {
		for _, w := range difference(group, c.shown[group], members) {
			writes = append(writes, w)
			owner[w.Node] = group
		}
	}
	broken, err := c.session.WriteConsumers(ctx, writes)
	if err != nil {
		return err
	}
	missing := map[string]map[zkstore.ConsumerNode]bool{}
	for node, err := range broken {
		group := owner[node]
		if missing[group] == nil {
			missing[group] = map[zkstore.ConsumerNode]bool{}
			c.logger.Debug("a member of a group could not be shown in ZooKeeper", zap.String("group", group), zap.String("path", node.Path()), zap.Error(err))
		}
		missing[group][node] = true
	}
	for group, members := range wanted {
		c.note(group, picture{members: members, missing: missing[group]})
	}
	for _, group := range gone {
		if wanted[group] == nil {
			if err := c.session.RemoveConsumers(ctx, group); err != nil {
				c.logger.Debug("a group that is gone could not be removed from ZooKeeper", zap.String("group", group), zap.Error(err))
			}
		}
	}
	return nil
}

// note remembers what is shown of a group now, and when to look again if that is not all.
func (c *Showcase) note(group string, p picture) {
	if len(p.members) == 0 && len(p.missing) == 0 {
		delete(c.shown, group)
	} else {
		c.shown[group] = p
	}
	if len(p.missing) == 0 {
		delete(c.later, group)
		return
	}
	pause := firstPause
	if l, again := c.later[group]; again {
		pause = min(2*l.pause, longestPause)
	}
	c.later[group] = later{time.Now().Add(pause), pause}
}

// difference is what has to be written to show members instead of what is shown.
func difference(group string, now picture, members []Shown) []zkstore.ConsumerWrite {
	was, wanted := nodesOf(group, now.members), nodesOf(group, members)
	var writes []zkstore.ConsumerWrite
	remove := func(node zkstore.ConsumerNode) {
		if _, stays := wanted[node]; !stays && !now.missing[node] {
			writes = append(writes, zkstore.ConsumerWrite{Node: node})
		}
	}
	for node := range was {
		delete(now.maybe, node)
		remove(node)
	}
	for node := range now.maybe {
		remove(node)
	}
	for node, data := range wanted {
		before, exists := was[node]
		exists = exists && !now.missing[node] && !now.unsure
		if !exists || before != data {
			writes = append(writes, zkstore.ConsumerWrite{Node: node, Data: []byte(data), Exists: exists})
		}
	}
	return writes
}

// nodesOf is the znodes that show members, with their content.
func nodesOf(group string, members []Shown) map[zkstore.ConsumerNode]string {
	nodes := map[zkstore.ConsumerNode]string{}
	for _, m := range members {
		topics, _ := subscribedTopics(m.Subscription) // what cannot be read is not shown
		nodes[zkstore.ConsumerIDNode(group, m.ID)] = string(zkstore.ConsumerID(topics, m.Since))
		owned, _ := assignedPartitions(m.Assignment)
		for topic, partitions := range owned {
			for _, p := range partitions {
				nodes[zkstore.ConsumerOwnerNode(group, meta.TopicPartition{Topic: topic, Partition: p})] = string(zkstore.ConsumerOwner(m.ID))
			}
		}
	}
	return nodes
}
