package storage

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// A checkpoint is a text file:
//
//	0            version
//	n            number of entries
//	line x n
//
// It is replaced as a whole: written beside, synced, renamed over, directory synced.

const checkpointVersion = "0"

// writeFileAtomic replaces a small file so that a crash leaves the old or the new content, never half of it, and from now
// on the new.
func writeFileAtomic(fsys vfs.FS, path string, content []byte) error {
	if err := replaceFile(fsys, path, content); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// replaceFile is writeFileAtomic without the promise that the old content does not come back: the directory is not synced.
func replaceFile(fsys vfs.FS, path string, content []byte) error {
	if err := stageFile(fsys, path, content); err != nil {
		return err
	}
	return fsys.Rename(path+tmpSuffix, path)
}

// stageFile writes the content that is to replace a file beside it: all that there may be no room for. Then it leaves nothing.
func stageFile(fsys vfs.FS, path string, content []byte) error {
	err := writeFileSync(fsys, path+tmpSuffix, content)
	if isFull(err) {
		_ = fsys.Remove(path + tmpSuffix) // nobody looks at it
	}
	return err
}

// commitFile puts what was staged in place, durably.
func commitFile(fsys vfs.FS, path string) error {
	if err := fsys.Rename(path+tmpSuffix, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// writeFileSync writes a small file and syncs its content.
func writeFileSync(fsys vfs.FS, path string, content []byte) (err error) {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Sync()
}

// errCheckpoint is what a malformed checkpoint is.
type errCheckpoint struct {
	line   int
	reason string
}

func (e *errCheckpoint) Error() string {
	return fmt.Sprintf("malformed checkpoint, line %d: %s", e.line, e.reason)
}

// parseCheckpoint calls each with the fields of every entry. An empty file has no entries: it is what a crash right
// after the very first creation may leave.
func parseCheckpoint(content []byte, each func(fields [][]byte) error) error {
	if len(content) == 0 {
		return nil
	}
	number := 0
	next := func() (line []byte, ok bool) {
		if len(content) == 0 {
			return nil, false
		}
		number++
		line, content, _ = bytes.Cut(content, []byte{'\n'})
		return bytes.TrimSpace(line), true
	}
	line, _ := next()
	if v, err := strconv.Atoi(string(line)); err != nil || strconv.Itoa(v) != checkpointVersion {
		return &errCheckpoint{number, fmt.Sprintf("unknown version %.20q", line)}
	}
	line, ok := next()
	count, err := strconv.Atoi(string(line))
	if !ok || err != nil || count < 0 {
		return &errCheckpoint{number, fmt.Sprintf("%.20q is not a number of entries", line)}
	}
	for found := 0; ; found++ {
		line, ok := next()
		if !ok {
			if found != count {
				return &errCheckpoint{number, fmt.Sprintf("%d entries instead of %d", found, count)}
			}
			return nil
		}
		if len(line) == 0 && len(content) == 0 && found == count {
			return nil
		}
		if err := each(bytes.Fields(line)); err != nil {
			return &errCheckpoint{number, err.Error()}
		}
	}
}

// parseOffsets reads a checkpoint of "topic partition offset" lines.
func parseOffsets(content []byte) (map[meta.TopicPartition]int64, error) {
	offsets := map[meta.TopicPartition]int64{}
	err := parseCheckpoint(content, func(f [][]byte) error {
		if len(f) != 3 {
			return fmt.Errorf("%d fields instead of 3", len(f))
		}
		p, err := strconv.ParseInt(string(f[1]), 10, 32)
		if err != nil {
			return err
		}
		offset, err := strconv.ParseInt(string(f[2]), 10, 64)
		if err != nil {
			return err
		}
		offsets[meta.TopicPartition{Topic: string(f[0]), Partition: int32(p)}] = offset
		return nil
	})
	if err != nil {
		return nil, err
	}
	return offsets, nil
}

// formatOffsets is the inverse of parseOffsets, in the order of the names.
func formatOffsets(offsets map[meta.TopicPartition]int64) []byte {
	b := append([]byte(checkpointVersion), '\n')
	b = append(strconv.AppendInt(b, int64(len(offsets)), 10), '\n')
	for _, tp := range slices.SortedFunc(maps.Keys(offsets), meta.TopicPartition.Compare) {
		b = append(append(b, tp.Topic...), ' ')
		b = append(strconv.AppendInt(b, int64(tp.Partition), 10), ' ')
		b = append(strconv.AppendInt(b, offsets[tp], 10), '\n')
	}
	return b
}

// parseEpochs reads a checkpoint of "epoch startOffset" lines.
func parseEpochs(content []byte) ([]EpochEntry, error) {
	var entries []EpochEntry
	err := parseCheckpoint(content, func(f [][]byte) error {
		if len(f) != 2 {
			return fmt.Errorf("%d fields instead of 2", len(f))
		}
		epoch, err := strconv.ParseInt(string(f[0]), 10, 32)
		if err != nil {
			return err
		}
		start, err := strconv.ParseInt(string(f[1]), 10, 64)
		if err != nil {
			return err
		}
		if epoch < 0 || start < 0 {
			return fmt.Errorf("negative epoch or offset")
		}
		entries = append(entries, EpochEntry{meta.LeaderEpoch(epoch), start})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// formatEpochs is the inverse of parseEpochs.
func formatEpochs(entries []EpochEntry) []byte {
	b := append([]byte(checkpointVersion), '\n')
	b = append(strconv.AppendInt(b, int64(len(entries)), 10), '\n')
	for _, e := range entries {
		b = append(strconv.AppendInt(b, int64(e.Epoch), 10), ' ')
		b = append(strconv.AppendInt(b, e.StartOffset, 10), '\n')
	}
	return b
}
