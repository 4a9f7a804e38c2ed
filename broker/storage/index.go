package storage

import (
	"encoding/binary"
	"io"
	"sync"
)

// index is what offset and time index share: entries of one size in ascending order, appended only. A lookup reads what
// it needs; nothing but the newest entries of a segment being written is kept in memory. The file is not mapped: a
// write into a hole of a mapped file on a full disk kills the process.
//
// Entries reach the file when many have gathered, at a flush, at a roll and when the segment falls idle. That they are
// late does not matter: after a crash the segments at or above the recovery point, and the recovery point only passes
// a segment whose indexes were synced, get their indexes rebuilt.
//
// All fields are guarded by segment.mu.
type index struct {
	width    int32 // bytes of an entry
	n        int32 // entries; -1: not known yet, the whole file
	written  int32 // of them in the file
	tailFrom int32 // tail holds entries [tailFrom, n)
	tail     []byte
	h        *handle
	size     int64 // of the file, -1 unknown
	unsynced bool
}

// tailEntries is how many entries gather in memory before the older half is written out and let go.
const tailEntries = 512

func newIndex(width int32, existing bool) index {
	if existing {
		return index{width: width, n: -1, size: -1}
	}
	return index{width: width}
}

// openIndexLocked opens the file and learns its size.
func (s *segment) openIndexLocked(x *index, suffix string) error {
	if x.h != nil {
		return nil
	}
	h, err := s.openLocked(suffix)
	if err != nil {
		return err
	}
	info, err := h.Stat()
	if err != nil {
		h.release()
		return err
	}
	x.h, x.size = h, info.Size()
	if x.n < 0 {
		x.n = int32(x.size / int64(x.width))
		x.written, x.tailFrom = x.n, x.n
	}
	return nil
}

// knowLocked makes x.n known.
func (s *segment) knowLocked(x *index, suffix string) error {
	if x.n >= 0 {
		return nil
	}
	return s.openIndexLocked(x, suffix)
}

// push appends an entry in memory; x.n must be known.
func (x *index) push(entry []byte) {
	if x.tail == nil {
		x.tailFrom = x.n
		x.tail = make([]byte, 0, 16*int(x.width))
	}
	x.tail = append(x.tail, entry...)
	x.n++
	x.unsynced = true
}

// spillLocked writes entries out if many have gathered.
func (s *segment) spillLocked(x *index, suffix string) error {
	if x.n-x.tailFrom < tailEntries {
		return nil
	}
	if err := s.writeIndexLocked(x, suffix); isFull(err) {
		return nil // they stay in memory until there is room
	} else if err != nil {
		return err
	}
	// Into a new array: lookups hold views of the old one.
	keep := x.tail[len(x.tail)/2:]
	x.tailFrom = x.n - int32(len(keep))/x.width
	x.tail = append(make([]byte, 0, tailEntries*int(x.width)), keep...)
	return nil
}

// writeIndexLocked brings the file up to date.
func (s *segment) writeIndexLocked(x *index, suffix string) error {
	if x.n < 0 || x.written == x.n {
		return nil
	}
	if err := s.openIndexLocked(x, suffix); err != nil {
		return err
	}
	if x.size < s.indexCapacity(x) && s.active {
		// As Kafka does; the hole costs nothing, and tools see a file of the size they expect.
		if err := x.h.Truncate(s.indexCapacity(x)); err != nil {
			return ioError("preallocate", suffix, err)
		}
		x.size = s.indexCapacity(x)
	}
	from := int64(x.written) * int64(x.width)
	if _, err := x.h.WriteAt(x.tail[int(x.written-x.tailFrom)*int(x.width):], from); err != nil {
		return ioError("write", suffix, err)
	}
	x.size = max(x.size, int64(x.n)*int64(x.width))
	x.written = x.n
	return nil
}

// indexCapacity is the size of the file while the segment is active: whole entries in segment.index.bytes.
func (s *segment) indexCapacity(x *index) int64 {
	return int64(s.maxIndexBytes) / int64(x.width) * int64(x.width)
}

// trimIndexLocked writes what is missing and cuts the preallocated rest, so that the size tells the number of entries.
func (s *segment) trimIndexLocked(x *index, suffix string) error {
	if err := s.writeIndexLocked(x, suffix); err != nil {
		return err
	}
	if x.n < 0 {
		return nil // never looked at: as it was left
	}
	if err := s.openIndexLocked(x, suffix); err != nil {
		return err
	}
	want := int64(x.n) * int64(x.width)
	if x.size == want {
		return nil
	}
	if err := x.h.Truncate(want); err != nil {
		return ioError("trim", suffix, err)
	}
	x.size, x.unsynced = want, true
	return nil
}

// cutLocked keeps the first n entries.
func (s *segment) cutLocked(x *index, suffix string, n int32) error {
	if err := s.openIndexLocked(x, suffix); err != nil {
		return err
	}
	if n >= x.n {
		return nil
	}
	if n <= x.tailFrom || x.tail == nil {
		x.tail, x.tailFrom = nil, n
	} else {
		end := int(n-x.tailFrom) * int(x.width)
		x.tail = x.tail[:end:end]
	}
	x.n = n
	if x.written > n {
		x.written = n
	}
	// Zeros behind the end, as in a preallocated file.
	if err := x.h.Truncate(int64(x.written) * int64(x.width)); err != nil {
		return ioError("truncate", suffix, err)
	}
	x.size, x.unsynced = int64(x.written)*int64(x.width), true
	return nil
}

// idle lets go of file and memory. Entries not written yet stay.
func (x *index) idle() {
	if x.h != nil {
		x.h.release()
		x.h = nil
	}
	if x.written == x.n {
		x.tail, x.tailFrom = nil, x.n
	}
}

// entryView is an index as it was at one moment, to search without a lock. It holds a reference to the file if it has
// entries only there; release it.
type entryView struct {
	h        *handle
	width    int32
	n        int32
	tailFrom int32
	tail     []byte
}

// viewLocked takes a view.
func (s *segment) viewLocked(x *index, suffix string) (entryView, error) {
	if err := s.knowLocked(x, suffix); err != nil {
		return entryView{}, err
	}
	v := entryView{width: x.width, n: x.n, tailFrom: x.n}
	if x.tail != nil {
		v.tail, v.tailFrom = x.tail, x.tailFrom
	}
	if v.tailFrom > 0 {
		if err := s.openIndexLocked(x, suffix); err != nil {
			return entryView{}, err
		}
		v.h = x.h.retain()
	}
	return v, nil
}

func (v *entryView) release() {
	if v.h != nil {
		v.h.release()
		v.h = nil
	}
}

// pageEntries is how many entries are read from the file at once.
const pageEntries = 512

// pages holds buffers of pageEntries entries of the wider index.
var pages = sync.Pool{New: func() any { return new([pageEntries * timeEntryWidth]byte) }}

// key is what an index is searched by.
type key int

const (
	byOffset     key = iota // offset index: relative offset
	byPosition              // offset index: file position
	byTime                  // time index: timestamp
	byTimeOffset            // time index: relative offset
)

func (k key) of(entry []byte) int64 {
	switch k {
	case byPosition:
		return relative(entry[4:])
	case byTime:
		return int64(binary.BigEndian.Uint64(entry))
	case byTimeOffset:
		return relative(entry[8:])
	}
	return relative(entry)
}

// found is the place of a target in an index: how many entries have a key at most the target's, the last of these and
// the entry after them.
type found struct {
	n           int32
	at, next    [timeEntryWidth]byte
	has, hasTop bool
}

func (f *found) set(at, next []byte) {
	f.has, f.hasTop = at != nil, next != nil
	copy(f.at[:], at)
	copy(f.next[:], next)
}

// search looks for the last entry with a key at most target. Keys ascend, not necessarily strictly.
func (v *entryView) search(k key, target int64) (f found, err error) {
	w := int(v.width)
	if i := bisect(v.tail, w, k, target); i > 0 || v.tailFrom == 0 {
		f.n = v.tailFrom + int32(i)
		f.set(entryAt(v.tail, w, i-1), entryAt(v.tail, w, i))
		return f, nil
	}
	// The place is in the file, or between it and the tail.
	page := pages.Get().(*[pageEntries * timeEntryWidth]byte)
	defer pages.Put(page)
	lo, hi := int32(0), v.tailFrom // lo entries are known to be at most target, those from hi on to be above
	for hi-lo > pageEntries-2 {
		mid := lo + (hi-lo)/2
		entry := page[:w]
		if err := v.readEntries(entry, mid); err != nil {
			return f, err
		}
		if k.of(entry) > target {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	from, to := max(lo-1, 0), min(hi+1, v.tailFrom) // and a neighbour on either side
	block := page[:int(to-from)*w]
	if err := v.readEntries(block, from); err != nil {
		return f, err
	}
	i := bisect(block, w, k, target)
	f.n = from + int32(i)
	next := entryAt(block, w, i)
	if next == nil {
		next = entryAt(v.tail, w, 0)
	}
	f.set(entryAt(block, w, i-1), next)
	return f, nil
}

func (v *entryView) readEntries(b []byte, from int32) error {
	n, err := v.h.ReadAt(b, int64(from)*int64(v.width))
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return errGone // cut by a truncation meanwhile
	}
	return err
}

// bisect counts the entries of block with a key at most target.
func bisect(block []byte, width int, k key, target int64) int {
	lo, hi := 0, len(block)/width
	for lo < hi {
		mid := (lo + hi) / 2
		if k.of(block[mid*width:(mid+1)*width]) > target {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// entryAt is entry i of block, nil if there is none.
func entryAt(block []byte, width, i int) []byte {
	if i < 0 || (i+1)*width > len(block) {
		return nil
	}
	return block[i*width : (i+1)*width]
}

// lastLocked returns the newest entry, nil if there is none. It is valid until the next call.
func (s *segment) lastLocked(x *index, suffix string) ([]byte, error) {
	if err := s.knowLocked(x, suffix); err != nil {
		return nil, err
	}
	if x.n == 0 {
		return nil, nil
	}
	if len(x.tail) > 0 {
		return x.tail[len(x.tail)-int(x.width):], nil
	}
	if err := s.openIndexLocked(x, suffix); err != nil {
		return nil, err
	}
	buf := s.scratch[:x.width]
	if _, err := x.h.ReadAt(buf, int64(x.n-1)*int64(x.width)); err != nil && err != io.EOF {
		return nil, ioError("read", suffix, err)
	}
	return buf, nil
}

func relative(entry []byte) int64 { return int64(int32(binary.BigEndian.Uint32(entry))) }
