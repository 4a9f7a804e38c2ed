package group

import (
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// expire removes offsets whose time is over (KIP-211; GroupMetadata.removeExpiredOffsets) and reports whether any are left.
func (t *offsetTable) expire(g *Group, report func(left bool)) {
	o := t.groups[g.id]
	if o == nil && !t.inTree() {
		report(false)
		return
	}
	o = t.of(g.id)
	t.whenFresh(o, func(err error) {
		if err != nil || t.stillThere(o) != nil {
			report(true)
			return
		}
		expired := t.expired(g, o)
		switch {
		case len(expired) == 0 && (!o.bare() || !t.inTree()):
			t.endExpiry(o, report)
		case !t.inTree():
			t.removeExpired(o, expired)
			t.endExpiry(o, report)
		default:
			// Consumers of old never say how long they mean to be away, but while they are here their offsets stay.
			t.lane.Members(o.id, func(present bool, err error) {
				if present || err != nil || t.stillThere(o) != nil {
					report(true)
					return
				}
				t.removeExpired(o, t.expired(g, o))
				t.endExpiry(o, report)
			})
		}
	})
}

func (t *offsetTable) endExpiry(o *groupOffsets, report func(bool)) {
	left := !o.bare()
	t.drop(o)
	report(left)
}

// expired lists what is to go.
func (t *offsetTable) expired(g *Group, o *groupOffsets) []meta.TopicPartition {
	var tps []meta.TopicPartition
	now := t.s.env.Now()
	sinceEmpty := g.protocolType != "" && g.state == Empty
	switch {
	case sinceEmpty, g.protocolType == "":
	case g.protocolType == consumerType && g.state == Stable && g.subscription.known:
	default:
		return nil
	}
	for tp, e := range o.entries {
		if !e.committed || e.writing+e.behind > 0 || g.state == Stable && g.wants(tp.Topic) {
			continue
		}
		base := time.UnixMilli(e.value.CommitTimestamp)
		if since := g.stateTime(); sinceEmpty && !since.IsZero() {
			base = since
		}
		over := now.Sub(base) >= t.c.Retention
		if e.value.ExpireTimestamp >= 0 {
			over = now.UnixMilli() >= e.value.ExpireTimestamp
		}
		if over {
			tps = append(tps, tp)
		}
	}
	return tps
}

func (t *offsetTable) removeExpired(o *groupOffsets, tps []meta.TopicPartition) {
	if len(tps) == 0 {
		return
	}
	t.s.logger.Info("offsets expired", zap.String("group", o.id), zap.Int32("partition", t.s.partition), zap.Int("offsets", len(tps)))
	t.metrics.expired(len(tps))
	t.remove(o, tps, func(err error) {
		if err != nil && t.alive {
			t.s.logger.Warn("expired offsets were left behind", zap.String("group", o.id), zap.Error(err))
		}
	})
}
