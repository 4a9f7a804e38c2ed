package zkstore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetWrite is one partition's part of a gathered write: the offset, and its details if they change, or the end of both.
type OffsetWrite struct {
	Group string
	meta.TopicPartition
	Offset  int64
	Details *OffsetDetails // nil: as they are
	Delete  bool           // instead: remove both znodes

	// Exists and DetailsExist say which znodes the caller believes to be there. When a znode is in the way of its belief, that
	// is found out; but what it wants gone and believes gone is not looked for.
	Exists, DetailsExist bool
	Unknown              bool // the caller does not know; it is found out first
}

// Size is at least how many bytes of a request the write takes, not counting a chroot.
func (w *OffsetWrite) Size() int {
	const perOperation = 64 // headers, lengths, the ACL of a new znode, a number
	n := perOperation + len(consumersPath) + 3*len(w.Group) + 3*len(w.Topic) + len("/offsets//2147483647")
	if w.Details != nil || w.Delete {
		n *= 2
	}
	if w.Details != nil {
		n += 160 + 6*len(w.Details.Metadata)
	}
	return n
}

// RefusedWrite says which part of a gathered write ZooKeeper did not accept. Nothing of the whole was done.
type RefusedWrite struct {
	Fence int // index of the fence, or -1
	Write int // index of the write, or -1
	Err   error
}

func (e *RefusedWrite) Error() string {
	if e.Fence >= 0 {
		return fmt.Sprintf("write offsets behind fence %d: %v", e.Fence, e.Err)
	}
	return fmt.Sprintf("write offset %d: %v", e.Write, e.Err)
}

func (e *RefusedWrite) Unwrap() error { return e.Err }

// ErrTooLarge means a write does not fit into the request, see [MaxOffsetsSize].
var ErrTooLarge = errors.New("too large for ZooKeeper")

const (
	// MaxOffsetsSize bounds the sizes of the writes of one request, below the default of jute.maxbuffer.
	MaxOffsetsSize = 1<<20 - 1<<15

	// maxSurprises bounds how often a gathered write is put together anew because the tree is not what it was
	// a moment ago.
	maxSurprises = 8
)

// WriteOffsets makes one multi of the checks of all fences and of all writes: everything is done or nothing. Without writes
// it only asks whether the fences stand. What is missing above a new offset is created first, as structure that needs no
// fence. No partition may be in it twice. A [RefusedWrite] names what was in the way, by [ErrFenced] if it was a fence; [ErrUnknownOutcome] is as
// everywhere. The same writes may be made again: they say the same twice.
func (z *Store) WriteOffsets(ctx context.Context, fences []Fence, writes []OffsetWrite) error {
	if len(fences) == 0 {
		return errNoFence
	}
	checks := make([]any, 0, len(fences))
	for _, f := range fences {
		switch {
		case f.open: // nothing to check; keep what an operation's index says
			checks = append(checks, &zk.CheckVersionRequest{Path: z.s.absolute(consumersPath), Version: anyVersion})
		case f.path == "":
			return errNoFence
		default:
			checks = append(checks, &zk.CheckVersionRequest{Path: z.s.absolute(f.path), Version: f.version})
		}
	}
	writes = slices.Clone(writes) // what exists is corrected in our own copy
	size := 0
	for i := range writes {
		if size += writes[i].Size(); size > MaxOffsetsSize { // the server would close the connection, again and again
			return &RefusedWrite{Fence: -1, Write: i, Err: ErrTooLarge}
		}
	}
	look := slices.ContainsFunc(writes, func(w OffsetWrite) bool { return w.Unknown })
	for surprises := 0; ; surprises++ {
		if look {
			if err := z.lookAgain(ctx, writes); err != nil {
				return err
			}
		}
		if err := z.prepareFolders(ctx, writes); err != nil {
			return err
		}
		refused, err := z.writeOffsets(ctx, checks, writes)
		if refused == nil {
			return err
		}
		if refused.Write < 0 || refused.Err != ErrNoNode && refused.Err != ErrNodeExists || surprises == maxSurprises {
			return refused
		}
		look = true
	}
}

// writeOffsets makes one attempt. It returns what was refused, or an error of the whole.
func (z *Store) writeOffsets(ctx context.Context, checks []any, writes []OffsetWrite) (*RefusedWrite, error) {
	ops := append(make([]any, 0, len(checks)+2*len(writes)), checks...)
	owner := make([]int, len(checks), cap(ops)) // of each operation: its write
	for i := range writes {
		ops = z.s.appendOffsetOps(ops, &writes[i])
		for len(owner) < len(ops) {
			owner = append(owner, i)
		}
	}
	answers, _, err := again(ctx, z.s, func() ([]zk.MultiResponse, error) { return z.s.conn.Multi(ops...) })
	if err == nil && len(answers) != len(ops) {
		err = errMulti
	}
	if err == nil {
		return nil, nil
	}
	for i, a := range answers { // up to the one refused no operation shows an error
		switch {
		case a.Error == nil || i >= len(ops):
			continue
		case i >= len(checks):
			return &RefusedWrite{Fence: -1, Write: owner[i], Err: translate(a.Error)}, nil
		}
		refusal := translate(a.Error)
		if refusal == ErrBadVersion || refusal == ErrNoNode {
			refusal = ErrFenced
		}
		return &RefusedWrite{Fence: i, Write: -1, Err: refusal}, nil
	}
	return nil, fmt.Errorf("write offsets: %w", err)
}

func (s *Session) appendOffsetOps(ops []any, w *OffsetWrite) []any {
	at, details := OffsetPath(w.Group, w.TopicPartition), OffsetDetailsPath(w.Group, w.TopicPartition)
	remove := func(path string) any { return &zk.DeleteRequest{Path: s.absolute(path), Version: anyVersion} }
	put := func(exists bool, path string, data []byte) any {
		if exists {
			return s.setRequest(path, data, anyVersion)
		}
		return s.createRequest(path, data, zk.FlagPersistent)
	}
	switch {
	case !w.Delete:
		ops = append(ops, put(w.Exists, at, encodeOffset(w.Offset)))
	case w.Exists:
		ops = append(ops, remove(at))
	}
	switch gone := w.Delete || w.Details != nil && *w.Details == NoOffsetDetails(); {
	case gone && w.DetailsExist:
		ops = append(ops, remove(details))
	case !gone && w.Details != nil:
		ops = append(ops, put(w.DetailsExist, details, encodeOffsetDetails(*w.Details)))
	}
	return ops
}

// lookAgain finds out which znodes of writes there are.
func (z *Store) lookAgain(ctx context.Context, writes []OffsetWrite) error {
	keys := make([]int, 2*len(writes)) // even: the offset; odd: its details
	for i := range keys {
		keys[i] = i
	}
	found, unreadable, err := collect(ctx, z.s, keys, func(k int) string {
		w := &writes[k/2]
		if k%2 == 1 {
			return OffsetDetailsPath(w.Group, w.TopicPartition)
		}
		return OffsetPath(w.Group, w.TopicPartition)
	}, func(int, znode) (struct{}, error) { return struct{}{}, nil })
	if err != nil {
		return err
	}
	there := func(k int) bool {
		_, readable := found[k]
		return readable || unreadable[k] != nil // one we may not read may still be one to write
	}
	for i := range writes {
		writes[i].Exists, writes[i].DetailsExist = there(2*i), there(2*i+1)
	}
	return nil
}

// prepareFolders creates what is missing above the znodes that writes are about to create.
func (z *Store) prepareFolders(ctx context.Context, writes []OffsetWrite) error {
	wanted := map[string]bool{}
	above := func(at string) {
		for at = path.Dir(at); at != consumersPath && !wanted[at]; at = path.Dir(at) {
			wanted[at] = true
		}
	}
	for i := range writes {
		w := &writes[i]
		if !w.Delete && !w.Exists {
			above(OffsetPath(w.Group, w.TopicPartition))
		}
		if !w.Delete && !w.DetailsExist && w.Details != nil && *w.Details != NoOffsetDetails() {
			above(OffsetDetailsPath(w.Group, w.TopicPartition))
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	levels := map[int][]string{}
	folders := make([]string, 0, len(wanted))
	for at := range wanted {
		folders = append(folders, at)
	}
	there, unreadable, err := collect(ctx, z.s, folders, func(at string) string { return at },
		func(string, znode) (struct{}, error) { return struct{}{}, nil })
	if err != nil {
		return err
	}
	deepest := 0
	for _, at := range folders {
		if _, exists := there[at]; exists || unreadable[at] != nil {
			continue
		}
		depth := strings.Count(at, "/")
		levels[depth], deepest = append(levels[depth], at), max(deepest, depth)
	}
	for depth := range deepest + 1 {
		if err := z.ensureFolders(ctx, Unfenced(), levels[depth]); err != nil {
			return err
		}
	}
	return nil
}

// PruneOffsets removes the folders of topics a group has no more offsets of, and the group's own once nothing is left in it.
func (z *Store) PruneOffsets(ctx context.Context, f Fence, group string, topics []string) error {
	for _, folder := range []string{groupOffsetsPath(group), groupDetailsPath(group)} {
		for _, topic := range topics {
			if err := z.removeEmpty(ctx, f, folder+"/"+pathName(topic)); err != nil {
				return err
			}
		}
		if err := z.removeEmpty(ctx, f, folder); err != nil {
			return err
		}
	}
	return z.removeEmpty(ctx, f, GroupPath(group))
}

func (z *Store) removeEmpty(ctx context.Context, f Fence, folder string) error {
	if err := z.s.deleteFenced(ctx, f, folder); err != nil && !errors.Is(err, ErrNotEmpty) {
		return err
	}
	return nil
}
