package group

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Env is what a shard may do. Met by [*coord.Env], and by a test's clock and log.
type Env interface {
	Now() time.Time
	After(d time.Duration, f func()) Timer
	Append(b coord.Batch, done func(at coord.Position, err error))
	Post(f func())
	LogEnd() coord.Position
	LeaderEpoch() meta.LeaderEpoch
}

// onShard is a *coord.Env as Env.
type onShard struct{ *coord.Env }

func (e onShard) After(d time.Duration, f func()) Timer { return e.Env.After(d, f) }
func (e onShard) LeaderEpoch() meta.LeaderEpoch         { return e.Env.LeaderEpoch }

// Config is what groups are held to. Nothing of it changes while the broker runs.
type Config struct {
	MinSessionTimeout      time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout      time.Duration // group.max.session.timeout.ms
	InitialRebalanceDelay  time.Duration // group.initial.rebalance.delay.ms
	MaxSize                int           // group.max.size
	RetentionCheckInterval time.Duration // offsets.retention.check.interval.ms
	// RecordVersion is that of the group records written: 0 to 3, by inter.broker.protocol.version.
	RecordVersion int16
}

// Shard is the groups of one partition of __consumer_offsets. All of it belongs to the shard's goroutine.
type Shard struct {
	partition int32
	env       Env
	config    Config
	board     Board
	newID     func() string
	metrics   *Metrics
	logger    *zap.Logger

	groups  map[string]*Group
	offsets *offsetTable
	// replayed are the newest records of groups, while loading.
	replayed map[string]coord.Record
	unknown  int // records of unknown kinds, while loading
	check    alarm
	ended    bool
}

// create makes an empty group.
func (s *Shard) create(id string) *Group {
	g := newGroup(id, s.env.Now())
	s.groups[id] = g
	s.metrics.added(g.state)
	return g
}

// groupOrNew returns a group, making it if there is none.
func (s *Shard) groupOrNew(id string) *Group {
	if g := s.groups[id]; g != nil {
		return g
	}
	return s.create(id)
}

// forget takes a group that became Dead out of the shard.
func (s *Shard) forget(g *Group) {
	g.joinPhase.alarm.stop()
	g.syncPhase.stop()
	for id := range g.pending {
		g.forgetPending(id)
	}
	for _, m := range g.members {
		m.session.stop()
	}
	if s.groups[g.id] == g {
		delete(s.groups, g.id)
	}
	s.metrics.removed(g.state)
}

// fields are what every log line of a group has, with what is said of it here.
func (s *Shard) fields(g *Group, more ...zap.Field) []zap.Field {
	return append([]zap.Field{zap.String("group", g.id), zap.Int32("partition", s.partition), zap.Int32("generation", g.generation)}, more...)
}

// show tells the board of a group whose assignment has become known.
func (s *Shard) show(g *Group) {
	if g.protocolType != consumerType || g.protocol == nil {
		s.board.Clear(g.id)
		return
	}
	shown := make([]Shown, 0, len(g.members))
	for _, m := range g.inOrder() {
		shown = append(shown, Shown{ID: m.id, Since: m.since, Subscription: m.metadata(*g.protocol), Assignment: m.assignment})
	}
	s.board.Show(g.id, shown)
}

// inOrder returns the shard's groups by id.
func (s *Shard) inOrder() []*Group {
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *Group) int { return cmp.Compare(a.id, b.id) })
}
