package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a filesystem in memory that remembers what was synced. Clone is what a killed process finds again; CrashClone
// is what a power failure leaves.
type Mem struct {
	mu struct {
		sync.Mutex
		root  *memNode
		locks map[string]bool
		boots int
	}
}

// memNode is a file or directory. All fields are guarded by Mem.mu.
type memNode struct {
	dir bool
	mod time.Time

	now, synced content // of a file: now, and as of its last Sync

	children map[string]*memNode // of a directory: now
	durable  map[string]*memNode // as of its last SyncDir
	// pending are the changes between durable and children, in order. A journalling filesystem may lose any suffix of
	// them, and does each whole or not at all.
	pending []dirChange
}

// content is the bytes of a file. What lies behind data is a hole of zeros: preallocated files cost nothing.
type content struct {
	data []byte
	size int64
}

func (c content) clone() content { return content{slices.Clone(c.data), c.size} }

// grow makes data reach to size at least.
func (c *content) grow(size int64) {
	if have := int64(len(c.data)); size > have {
		c.data = slices.Grow(c.data, int(size-have))[:size]
		clear(c.data[have:])
	}
	c.size = max(c.size, size)
}

func (c *content) truncate(size int64) {
	if size < int64(len(c.data)) {
		c.data = c.data[:size:size]
	}
	c.size = size
}

// dirChange removes one name and adds another; either may be empty.
type dirChange struct {
	remove, add string
	node        *memNode
}

func (c dirChange) apply(m map[string]*memNode) {
	if c.remove != "" {
		delete(m, c.remove)
	}
	if c.add != "" {
		m[c.add] = c.node
	}
}

func newDir() *memNode {
	return &memNode{dir: true, mod: time.Now(), children: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// NewMem returns an empty filesystem.
func NewMem() *Mem {
	m := &Mem{}
	m.mu.root = newDir()
	m.mu.locks = map[string]bool{}
	return m
}

// Clone copies everything, what was synced and what was not. Locks are gone.
func (m *Mem) Clone() *Mem { return m.clone(nil) }

// CrashClone copies what a power failure could leave: of unsynced content each block as it was or as it is, of unsynced
// directory changes a prefix. Everything in the copy counts as synced. The same rng state gives the same copy.
func (m *Mem) CrashClone(rng *rand.Rand) *Mem { return m.clone(rng) }

func (m *Mem) clone(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMem()
	c.mu.root = m.mu.root.clone(rng, map[*memNode]*memNode{})
	c.mu.boots = m.mu.boots
	if rng != nil {
		c.mu.boots++
	}
	return c
}

func (n *memNode) clone(rng *rand.Rand, done map[*memNode]*memNode) *memNode {
	if c, ok := done[n]; ok {
		return c
	}
	c := &memNode{dir: n.dir, mod: n.mod}
	done[n] = c
	if !n.dir {
		if rng == nil {
			c.now, c.synced = n.now.clone(), n.synced.clone()
			return c
		}
		c.now = crashed(rng, n.synced, n.now)
		c.synced = c.now.clone()
		return c
	}
	copyMap := func(src map[string]*memNode) map[string]*memNode {
		dst := make(map[string]*memNode, len(src))
		names := make([]string, 0, len(src))
		for name := range src {
			names = append(names, name)
		}
		slices.Sort(names) // the rng must be asked in the same order every time
		for _, name := range names {
			dst[name] = src[name].clone(rng, done)
		}
		return dst
	}
	if rng == nil {
		c.children, c.durable = copyMap(n.children), copyMap(n.durable)
		for _, p := range n.pending {
			if p.node != nil {
				p.node = p.node.clone(rng, done)
			}
			c.pending = append(c.pending, p)
		}
		return c
	}
	left := make(map[string]*memNode, len(n.durable))
	for name, child := range n.durable {
		left[name] = child
	}
	if len(n.pending) > 0 {
		for _, p := range n.pending[:rng.IntN(len(n.pending)+1)] {
			p.apply(left)
		}
	}
	c.children = copyMap(left)
	c.durable = make(map[string]*memNode, len(c.children))
	for name, child := range c.children {
		c.durable[name] = child
	}
	return c
}

const memBlock = 512

// crashed mixes the old and the new content of a file.
func crashed(rng *rand.Rand, old, now content) content {
	size := old.size
	switch rng.IntN(3) {
	case 0:
	case 1:
		size = now.size
	default:
		lo, hi := min(old.size, now.size), max(old.size, now.size)
		size = lo + rng.Int64N(hi-lo+1)
	}
	var out content
	out.grow(min(size, max(int64(len(old.data)), int64(len(now.data)))))
	copy(out.data, old.data)
	keep := rng.IntN(101) // percent of new blocks that made it
	for pos := 0; pos < len(out.data); pos += memBlock {
		end := min(pos+memBlock, len(out.data))
		if pos >= int(now.size) || rng.IntN(100) >= keep {
			continue
		}
		n := 0
		if pos < len(now.data) {
			n = copy(out.data[pos:end], now.data[pos:])
		}
		clear(out.data[pos+n : max(pos+n, min(end, int(now.size)))]) // the hole
	}
	out.size = size
	return out
}

func split(name string) []string {
	name = filepath.Clean(name)
	name = name[len(filepath.VolumeName(name)):]
	return strings.FieldsFunc(name, func(r rune) bool { return r == filepath.Separator || r == '/' })
}

func (m *Mem) findLocked(op, name string) (*memNode, error) {
	n := m.mu.root
	for _, part := range split(name) {
		if part == "." {
			continue
		}
		next := n.children[part]
		if next == nil {
			return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
		}
		n = next
	}
	return n, nil
}

// parentLocked finds the directory of name and its last element.
func (m *Mem) parentLocked(op, name string) (*memNode, string, error) {
	dir, err := m.findLocked(op, filepath.Dir(name))
	if err != nil {
		return nil, "", err
	}
	if !dir.dir {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("not a directory")}
	}
	return dir, filepath.Base(name), nil
}

func (n *memNode) change(c dirChange) {
	c.apply(n.children)
	n.pending = append(n.pending, c)
	n.mod = time.Now()
}

// Open implements [FS].
func (m *Mem) Open(name string) (File, error) { return m.open("open", name, false, false) }

// Create implements [FS].
func (m *Mem) Create(name string) (File, error) { return m.open("create", name, true, true) }

// OpenOrCreate implements [FS].
func (m *Mem) OpenOrCreate(name string) (File, error) { return m.open("open", name, true, false) }

func (m *Mem) open(op, name string, create, truncate bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked(op, name)
	if err != nil {
		return nil, err
	}
	n := dir.children[base]
	switch {
	case n == nil && !create:
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	case n == nil:
		n = &memNode{mod: time.Now()}
		dir.change(dirChange{add: base, node: n})
	case n.dir:
		return nil, &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("is a directory")}
	}
	if truncate {
		n.now = content{}
	}
	return &memFile{m: m, n: n, name: name}, nil
}

// ReadDir implements [FS].
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fmt.Errorf("not a directory")}
	}
	entries := make([]fs.DirEntry, 0, len(n.children))
	for base, child := range n.children {
		entries = append(entries, fs.FileInfoToDirEntry(child.infoLocked(base)))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Stat implements [FS].
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("stat", name)
	if err != nil {
		return nil, err
	}
	return n.infoLocked(filepath.Base(name)), nil
}

// MkdirAll implements [FS].
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.mu.root
	for _, part := range split(name) {
		next := n.children[part]
		if next == nil {
			next = newDir()
			n.change(dirChange{add: part, node: next})
		}
		if !next.dir {
			return &fs.PathError{Op: "mkdir", Path: name, Err: fmt.Errorf("not a directory")}
		}
		n = next
	}
	return nil
}

// Rename implements [FS].
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldBase, err := m.parentLocked("rename", oldname)
	if err != nil {
		return err
	}
	to, newBase, err := m.parentLocked("rename", newname)
	if err != nil {
		return err
	}
	n := from.children[oldBase]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldname, Err: fs.ErrNotExist}
	}
	if old := to.children[newBase]; old != nil && old.dir && len(old.children) > 0 {
		return &fs.PathError{Op: "rename", Path: newname, Err: fs.ErrExist}
	}
	if from == to {
		if oldBase != newBase {
			from.change(dirChange{remove: oldBase, add: newBase, node: n})
		}
		return nil
	}
	to.change(dirChange{add: newBase, node: n})
	from.change(dirChange{remove: oldBase})
	return nil
}

// Remove implements [FS].
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err != nil {
		return err
	}
	n := dir.children[base]
	if n == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if n.dir && len(n.children) > 0 {
		return &fs.PathError{Op: "remove", Path: name, Err: fmt.Errorf("directory not empty")}
	}
	dir.change(dirChange{remove: base})
	return nil
}

// RemoveAll implements [FS].
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parentLocked("remove", name)
	if err == nil && dir.children[base] != nil {
		dir.change(dirChange{remove: base})
	}
	return nil
}

// SetModTime implements [FS].
func (m *Mem) SetModTime(name string, t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("chtimes", name)
	if err == nil {
		n.mod = t
	}
	return err
}

// SyncDir implements [FS].
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findLocked("syncdir", name)
	if err != nil {
		return err
	}
	for _, c := range n.pending {
		c.apply(n.durable)
	}
	n.pending = nil
	return nil
}

// Lock implements [FS].
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.OpenOrCreate(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.locks[name] {
		return nil, fmt.Errorf("lock %s: held", name)
	}
	m.mu.locks[name] = true
	return &memLock{m: m, name: name, File: f}, nil
}

type memLock struct {
	File
	m    *Mem
	name string
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.mu.locks, l.name)
	return nil
}

// BootID implements [FS]: another one after a CrashClone.
func (m *Mem) BootID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("boot %d", m.mu.boots)
}

// Usage implements [FS].
func (m *Mem) Usage(name string) (total, usable int64, err error) {
	if _, err := m.Stat(name); err != nil {
		return 0, 0, err
	}
	return 1 << 40, 1 << 39, nil
}

type memFile struct {
	m    *Mem
	n    *memNode
	name string
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrInvalid}
	}
	left := f.n.now.size - off
	if left <= 0 {
		return 0, io.EOF
	}
	short := int64(len(p)) > left
	if short {
		p = p[:left]
	}
	n := 0
	if off < int64(len(f.n.now.data)) {
		n = copy(p, f.n.now.data[off:])
	}
	clear(p[n:])
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off < 0 {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: fs.ErrInvalid}
	}
	f.n.now.grow(off + int64(len(p)))
	copy(f.n.now.data[off:], p)
	f.n.mod = time.Now()
	return len(p), nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if size < 0 {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: fs.ErrInvalid}
	}
	f.n.now.truncate(size)
	f.n.mod = time.Now()
	return nil
}

func (f *memFile) Preallocate(size int64) error { return f.Truncate(size) }

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.synced = f.n.now.clone()
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.n.infoLocked(filepath.Base(f.name)), nil
}

func (f *memFile) Close() error { return nil }

func (f *memFile) OS() *os.File { return nil }

type memInfo struct {
	name string
	size int64
	mode fs.FileMode
	mod  time.Time
}

func (n *memNode) infoLocked(name string) memInfo {
	if n.dir {
		return memInfo{name, 0, fs.ModeDir | dirPerm, n.mod}
	}
	return memInfo{name, n.now.size, filePerm, n.mod}
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.mod }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
