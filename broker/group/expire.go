package group

import (
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/coord"
)

// expire looks through the groups for offsets whose time is over, and for groups that have nothing left (KIP-211).
func (s *Shard) expire() {
	s.check.set(s.env, s.config.RetentionCheckInterval, s.expire)
	for _, g := range s.inOrder() {
		if g.state == Dead {
			continue
		}
		s.offsets.expire(g, func(left bool) {
			if !s.ended {
				s.buryIfBare(g, left)
			}
		})
	}
}

// appendTombstone ends a group in the log. Nobody waits for it: a group that comes back by losing it is empty and expires again.
func (s *Shard) appendTombstone(g *Group) {
	s.env.Append(coord.Plain(s.tombstone(g)), func(_ coord.Position, err error) {
		if err != nil {
			s.logger.Warn("the end of a group could not be written", s.fields(g, zap.Error(err))...)
		}
	})
}
