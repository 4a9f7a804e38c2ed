package storage

import (
	"io/fs"
	"strings"

	"go.uber.org/zap"
)

// tidy removes what an interrupted compaction or deletion left, or completes it, and says whether it did anything.
//
// Compaction writes .cleaned files, renames them to .swap when all are complete and synced, renames the segments they
// replace to .deleted, and then drops the .swap. So .cleaned is incomplete, and .swap takes the place of every segment
// in its range. While .cleaned files exist not all outputs had become .swap: those .swap files go too.
func (ld *loader) tidy(entries []fs.DirEntry) (changed bool, err error) {
	firstCleaned := int64(noOffset)
	var cleaned, swap []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
		case strings.HasSuffix(name, deletedSuffix), strings.HasSuffix(name, tmpSuffix):
			if err := ld.remove(name); err != nil {
				return false, err
			}
			changed = true
		case strings.HasSuffix(name, cleanedSuffix):
			cleaned = append(cleaned, name)
			if base, _, ok := parseFileName(name); ok {
				firstCleaned = min(firstCleaned, base)
			}
		case strings.HasSuffix(name, swapSuffix):
			swap = append(swap, name)
		}
	}
	if len(cleaned) == 0 && len(swap) == 0 {
		return changed, nil
	}
	valid := swap[:0]
	for _, name := range swap {
		if base, _, ok := parseFileName(name); !ok || base >= firstCleaned {
			err = ld.remove(name)
		} else {
			valid = append(valid, name)
		}
		if err != nil {
			return false, err
		}
	}
	for _, name := range cleaned {
		if err := ld.remove(name); err != nil {
			return false, err
		}
	}
	return true, ld.finishSwap(entries, valid)
}

func (ld *loader) remove(name string) error {
	return removeIfThere(ld.env.fs, ld.place.file(name))
}

// finishSwap deletes the segments that the .swap files replace, then drops the suffix.
func (ld *loader) finishSwap(entries []fs.DirEntry, swap []string) error {
	first, end := int64(noOffset), int64(-1)
	for _, name := range swap {
		base, suffix, _ := parseFileName(name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		info, err := ld.env.fs.Stat(ld.place.file(name))
		if err != nil {
			return err
		}
		s := openSegment(ld.env, ld.place, base, ld.config, info.Size(), false)
		s.stage = swapSuffix
		next, err := s.nextOffset()
		s.closeFiles()
		if err != nil {
			return err
		}
		first, end = min(first, base), max(end, next)
		ld.logger.Info("completing an interrupted compaction", zap.Int64("base_offset", base), zap.Int64("end_offset", next))
	}
	for _, e := range entries {
		base, suffix, ok := parseFileName(e.Name())
		if !ok || base < first || base >= end || strings.HasSuffix(suffix, swapSuffix) || strings.HasSuffix(suffix, cleanedSuffix) {
			continue
		}
		if err := ld.remove(e.Name()); err != nil {
			return err
		}
	}
	for _, name := range swap {
		if err := ld.env.fs.Rename(ld.place.file(name), ld.place.file(strings.TrimSuffix(name, swapSuffix))); err != nil {
			return err
		}
	}
	return ld.env.fs.SyncDir(ld.place.path())
}
