package group

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// CommitRequest is an OffsetCommit, or a TxnOffsetCommit.
type CommitRequest struct {
	Group      string
	MemberID   string
	InstanceID *string
	Generation int32
	Offsets    []OffsetToCommit

	// Txn says that the offsets belong to a transaction of the producer.
	Txn           bool
	ProducerID    int64
	ProducerEpoch int16
	// Verified is what the verification of the transaction came to, see [coord.Batch].
	Verified storage.VerificationGuard
}

// OffsetToCommit is one partition of it.
type OffsetToCommit struct {
	meta.TopicPartition
	Offset      int64
	LeaderEpoch meta.LeaderEpoch // -1: not told
	Metadata    string
	Timestamp   int64 // of the commit, in milliseconds; -1: now
	Retention   int64 // in milliseconds; -1: as configured
}

// Commit stores offsets and returns the outcome of each, when all are durable.
func (c *Coordinator) Commit(ctx context.Context, q CommitRequest) []error {
	if q.Txn && q.Group == "" {
		return refuseCommit(q, ErrInvalidGroupID)
	}
	limited, cancel := context.WithTimeout(ctx, c.commitTimeout)
	defer cancel()
	outcomes, err := ask(limited, c, q.Group, func(s *Shard, reply func([]error)) { s.Commit(q, reply) })
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = coord.ErrTimedOut
	}
	if err != nil {
		return refuseCommit(q, err)
	}
	return outcomes
}

func refuseCommit(q CommitRequest, err error) []error {
	outcomes := make([]error, len(q.Offsets))
	for i := range outcomes {
		outcomes[i] = err
	}
	return outcomes
}

// Commit stores offsets of a group's member, or of anybody while it has none (GroupCoordinator.validateOffsetCommit).
func (s *Shard) Commit(q CommitRequest, reply func([]error)) {
	if err := s.mayCommit(q); err != nil {
		reply(refuseCommit(q, err))
		return
	}
	s.offsets.commit(q, reply)
}

func (s *Shard) mayCommit(q CommitRequest) error {
	g := s.groups[q.Group]
	if g == nil {
		if q.Generation >= 0 && !q.Txn {
			return ErrIllegalGeneration
		}
		g = s.create(q.Group)
	}
	var m *Member
	var err error
	switch {
	case g.state == Dead:
		return ErrCoordinatorNotAvailable
	case q.Generation < 0 && g.state == Empty:
		return nil // whoever it says it is
	case q.Generation >= 0 || q.MemberID != "" || q.InstanceID != nil:
		if m, err = g.checkGeneration(q.MemberID, q.InstanceID, q.Generation); err != nil {
			return err
		}
	case !q.Txn && g.state != Empty:
		return ErrUnknownMember
	}
	switch {
	case q.Txn: // old producers are held to their epoch alone, and none is a sign of life
		return nil
	case g.state == CompletingRebalance:
		return ErrRebalanceInProgress
	case m != nil:
		s.heardFrom(g, m)
	}
	return nil
}

// commit stores what may be stored.
func (t *offsetTable) commit(q CommitRequest, reply func([]error)) {
	outcomes := make([]error, len(q.Offsets))
	now := t.s.env.Now().UnixMilli()
	parts := make([]commitPart, 0, len(q.Offsets))
	for i, c := range q.Offsets {
		if MetadataTooLong(c.Metadata, t.c.MetadataMax) {
			outcomes[i] = ErrOffsetMetadataTooLarge
			continue
		}
		v := StoredOffset{Offset: c.Offset, LeaderEpoch: max(c.LeaderEpoch, meta.NoLeaderEpoch), Metadata: strings.ToValidUTF8(c.Metadata, "\ufffd"),
			CommitTimestamp: now, ExpireTimestamp: -1}
		if c.Timestamp >= 0 {
			v.CommitTimestamp = c.Timestamp
		}
		if c.Retention >= 0 {
			v.ExpireTimestamp = now + c.Retention
		}
		parts = append(parts, commitPart{index: i, tp: c.TopicPartition, value: v, told: c.Timestamp >= 0})
	}
	if len(parts) == 0 {
		reply(outcomes)
		return
	}
	o := t.of(q.Group)
	ended := func(err error) {
		for _, c := range parts {
			outcomes[c.index] = storeFailure(err)
		}
		t.metrics.committed(len(parts))
		reply(outcomes)
	}
	switch {
	case q.Txn:
		t.commitTxn(o, q, parts, ended)
	case t.toLog():
		t.commitToLog(o, parts, ended)
	default:
		t.whenRead(o, func(err error) {
			if err == nil {
				err = t.stillThere(o)
			}
			if err != nil {
				ended(err)
				return
			}
			t.commitToTree(o, parts, func(i int, err error) { outcomes[parts[i].index] = storeFailure(err) }, func() {
				t.metrics.committed(len(parts))
				reply(outcomes)
			})
		})
	}
}

// stillThere fails if a group came to its end while a commit of it waited.
func (t *offsetTable) stillThere(o *groupOffsets) error {
	if g := t.s.groups[o.id]; g == nil || g.state == Dead || t.groups[o.id] != o {
		return ErrCoordinatorNotAvailable
	}
	return nil
}

// MetadataTooLong compares a string's length in UTF-16 units, which is what Java counts, with offset.metadata.max.bytes.
func MetadataTooLong(s string, limit int) bool {
	if len(s) <= limit {
		return false
	}
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r >= 0x10000 {
			n++
		}
	}
	return n > limit
}

// commitToLog commits by records, and then to the tree if it is to have them, too.
func (t *offsetTable) commitToLog(o *groupOffsets, parts []commitPart, done func(error)) {
	entries := make([]*entry, len(parts))
	for i, c := range parts {
		entries[i] = o.entry(c.tp)
		entries[i].writing++
	}
	t.s.env.Append(coord.Plain(t.recordsOf(o.id, parts)...), func(first coord.Position, err error) {
		left := len(parts)
		var failure error
		one := func(i int, err error) {
			entries[i].writing--
			o.tidy(parts[i].tp)
			if err != nil {
				failure = err
			}
			if left--; left == 0 {
				done(failure)
			}
		}
		for i, c := range parts {
			at := coord.Position{LeaderEpoch: first.LeaderEpoch, Offset: first.Offset + int64(i)}
			if err != nil {
				one(i, err)
				continue
			}
			e := entries[i]
			e.logged = newest(e.logged, at)
			superseded := !e.supersede(at)
			if !t.inTree() && !superseded {
				t.show(e, c.value, at)
			}
			if !t.toTree() || superseded {
				one(i, nil)
				continue
			}
			t.whenRead(o, func(err error) {
				if err != nil || at.Compare(e.decided) < 0 { // superseded while the group was being read
					one(i, err)
					return
				}
				t.putOffset(o, c.tp, e, c.value, c.told, at, func(err error) {
					if err == nil {
						t.show(e, c.value, at)
					}
					one(i, err)
				})
			})
		}
	})
}

// commitToTree commits to the tree alone. one tells the outcome of each, before done.
func (t *offsetTable) commitToTree(o *groupOffsets, parts []commitPart, one func(i int, err error), done func()) {
	at := t.s.env.LogEnd()
	if at == coord.NoPosition {
		for i := range parts {
			one(i, coord.ErrNotCoordinator)
		}
		done()
		return
	}
	at.Offset--
	left := len(parts)
	for i, c := range parts {
		e := o.entry(c.tp)
		e.decided = newest(e.decided, at)
		e.writing++
		t.putOffset(o, c.tp, e, c.value, c.told, at, func(err error) {
			if e.writing--; err == nil {
				t.show(e, c.value, at)
			} else if e.puts == 0 {
				e.decided = e.at // nothing is on its way that could have been newer
			}
			one(i, err)
			if left--; left == 0 {
				done()
			}
		})
	}
}
