package storage

// OffsetsBefore answers a ListOffsets of version 0: the base offsets of the segments last written at or before ts, newest first,
// at most limit, led by the log end offset when that qualifies. -1 takes all of them, -2 the first segment only
// (UnifiedLog.legacyFetchOffsetsBefore).
func (l *Log) OffsetsBefore(ts int64, limit int) ([]int64, error) {
	segs := *l.segments.Load()
	offsets := make([]int64, 0, len(segs)+1)
	take := 1
	for i, s := range segs {
		offsets = append(offsets, s.base)
		if ts < 0 {
			continue
		}
		modified, err := s.modifiedMs()
		if err != nil {
			return nil, err
		}
		if i == 0 && modified > ts {
			take = 0
		}
		if modified <= ts {
			take = i + 1
		}
	}
	if last := segs[len(segs)-1]; last.size.Load() > 0 {
		offsets = append(offsets, l.LogEndOffset())
		if ts >= l.env.nowMs() {
			take = len(offsets)
		}
	}
	if ts == -1 {
		take = len(offsets)
	}
	out := make([]int64, 0, min(take, limit))
	for i := take - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, offsets[i])
	}
	return out, nil
}
