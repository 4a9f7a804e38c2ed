package storage

import (
	"slices"

	"go.uber.org/zap"
)

// split makes a segment of its own of what does not fit its segment. Done twice, after a crash, it does the same.
func (ld *loader) split(over *errOverflow) error {
	i := floorSegment(ld.segments, over.base)
	s := ld.segments[i]
	ld.logger.Warn("splitting a segment whose offsets overflow", zap.Int64("base_offset", s.base), zap.Int64("at_offset", over.base))
	fresh, err := createSegment(ld.env, ld.place, over.base, ld.config, cleanedSuffix)
	if err != nil {
		return err
	}
	defer fresh.closeFiles()
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.release()
	buf := recoveryBuffers.Get().(*[recoveryBuffer]byte)
	defer recoveryBuffers.Put(buf)
	for pos := over.pos; pos < s.size.Load(); {
		n := int(min(s.size.Load()-pos, recoveryBuffer))
		if _, err := h.ReadAt(buf[:n], pos); err != nil {
			return err
		}
		if _, err := fresh.log.WriteAt(buf[:n], pos-over.pos); err != nil {
			return err
		}
		pos += int64(n)
	}
	if err := fresh.sync(true); err != nil {
		return err
	}
	fresh.mu.Lock()
	err = fresh.renameLocked("")
	fresh.mu.Unlock()
	if err != nil {
		return err
	}
	if err := ld.env.fs.SyncDir(ld.place.path()); err != nil {
		return err
	}
	if err := h.Truncate(over.pos); err != nil {
		return err
	}
	if err := h.Sync(); err != nil {
		return err
	}
	added := openSegment(ld.env, ld.place, over.base, ld.config, s.size.Load()-over.pos, false)
	s.size.Store(over.pos)
	ld.segments = slices.Insert(ld.segments, i+1, added)
	for _, base := range []int64{s.base, over.base} {
		if j, found := slices.BinarySearch(ld.damaged, base); !found {
			ld.damaged = slices.Insert(ld.damaged, j, base)
		}
	}
	return nil
}
