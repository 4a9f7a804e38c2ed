package storage

import (
	"math"

	"go.uber.org/zap"
)

// dirtyRange is what a pass would clean: [first, uncleanable), both ends of segments but for first.
type dirtyRange struct {
	first, uncleanable int64
	// delayMs is for how long the oldest record has exceeded max.compaction.lag.ms, 0 if none has.
	delayMs int64
}

// choose takes the log most in need of a pass, or none.
func (c *cleaner) choose() (best *Log, dirty dirtyRange, ok bool) {
	now := c.m.env.now()
	bestRatio, dirtiest, delayMs := -1.0, 0.0, int64(0)
	for _, l := range c.m.list(false) {
		if !l.Config().Compact || l.Err() != nil || !c.free(l) || c.m.isMoving(l) {
			continue
		}
		d, ratio, due, err := c.consider(l, now.UnixMilli())
		if err != nil {
			c.failed(l, err)
			continue
		}
		dirtiest, delayMs = max(dirtiest, ratio), max(delayMs, d.delayMs)
		if due && ratio > bestRatio {
			best, dirty, bestRatio, ok = l, d, ratio, true
		}
	}
	c.m.env.metrics.looked(now.UnixMilli(), dirtiest, delayMs)
	if !ok {
		return nil, dirty, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.busy[best] {
		return nil, dirty, false // another worker was faster; next round
	}
	c.mu.busy[best] = true
	return best, dirty, true
}

func (c *cleaner) free(l *Log) bool {
	now := c.m.env.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	until, aside := c.mu.aside[l]
	if aside && (until.IsZero() || now.Before(until)) {
		return false
	}
	if aside {
		delete(c.mu.aside, l)
	}
	return !c.mu.busy[l]
}

// consider says what there is to clean in a log, and whether it is due.
func (c *cleaner) consider(l *Log, nowMs int64) (d dirtyRange, ratio float64, due bool, err error) {
	config := l.Config()
	start, leo := l.LogStartOffset(), l.LogEndOffset()
	first, ok := c.point(l)
	if !ok || first < start || first > leo {
		if ok {
			l.logger().Warn("first dirty offset was outside of the log; compacting from its beginning", zap.Int64("offset", first))
			if err := c.put(l, start); err != nil {
				return d, 0, false, err
			}
		}
		first = start
	}
	segs := *l.segments.Load()
	inactive := segs[:len(segs)-1]
	dirty := inactive[len(inactive):]
	if first < segs[len(segs)-1].base {
		dirty = inactive[max(floorSegment(inactive, first), 0):]
	}

	bound := min(l.LastStableOffset(), segs[len(segs)-1].base)
	if config.MinCompactionLagMs > 0 {
		for _, s := range dirty {
			largest, err := s.largestOrModified()
			if err != nil {
				return d, 0, false, err
			}
			if largest > nowMs-config.MinCompactionLagMs {
				bound = min(bound, s.base)
				break
			}
		}
	}
	// Whole segments only: the first inactive one that reaches over bound stays out.
	uncleanable := segs[max(floorSegment(segs, bound), 0)].base
	var clean, cleanable int64
	for i, s := range segs {
		switch end := endOf(segs, i, leo); {
		case s.base >= uncleanable:
		case end > first:
			cleanable += s.size.Load()
		}
		if s.base < first {
			clean += s.size.Load()
		}
	}
	if cleanable == 0 {
		return d, 0, false, nil
	}
	ratio = float64(cleanable) / float64(clean+cleanable)
	d = dirtyRange{first: first, uncleanable: uncleanable}
	if config.MaxCompactionLagMs < math.MaxInt64 {
		if d.delayMs, err = overdue(dirty, nowMs-max(config.MaxCompactionLagMs, 0)); err != nil {
			return d, 0, false, err
		}
	}
	return d, ratio, ratio > config.MinCleanableDirtyRatio || d.delayMs > 0, nil
}

// overdue says by how much the records that a dirty segment begins with are older than until (KIP-354).
func overdue(dirty []*segment, until int64) (delayMs int64, err error) {
	for _, s := range dirty {
		ts, err := s.firstTimestamp()
		if err != nil {
			return 0, err
		}
		if ts > 0 {
			delayMs = max(delayMs, until-ts)
		}
	}
	return delayMs, nil
}
