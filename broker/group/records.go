package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/coord"
)

// The records of __consumer_offsets begin with an int16 that is the kind of record and the version of its key in one:
//
//	key 0, 1  offset of a group, topic, partition     value 0 to 4, kept by the other half of this package
//	key 2     group                                   value 0 to 4 (3 is written; 4 is flexible)
//	key 3..   groups of the protocol of KIP-848, share groups
//
// (GroupMetadataKey.json, GroupMetadataValue.json, OffsetCommitKey.json, OffsetCommitValue.json)
type kind int8

const (
	unknownRecord kind = iota
	offsetRecord
	groupRecord
)

const (
	groupKeyVersion    = 2
	newestGroupVersion = 4
)

var errNoKey = errors.New("the record has no key")

// recordKind looks at a key, and for groups tells which.
func recordKind(key []byte) (kind, string, error) {
	if len(key) < 2 {
		return unknownRecord, "", errNoKey
	}
	switch version := int16(binary.BigEndian.Uint16(key)); version {
	case 0, 1:
		return offsetRecord, "", nil
	case groupKeyVersion:
		var k kmsg.GroupMetadataKey
		if err := k.ReadFrom(key); err != nil {
			return unknownRecord, "", fmt.Errorf("group key: %w", err)
		}
		return groupRecord, k.Group, nil
	}
	return unknownRecord, "", nil
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return k.AppendTo(nil)
}

// store writes the group's record, with the assignments given, and calls done when it is replicated or has failed.
func (s *Shard) store(g *Group, assignments map[string][]byte, done func(error)) {
	now := s.env.Now()
	r := coord.Record{Key: groupKey(g.id), Value: s.encode(g, assignments), Timestamp: now.UnixMilli()}
	s.env.Append(coord.Plain(r), func(_ coord.Position, err error) { done(storeError(err)) })
}

// storeError is what members are told when their group could not be written (GroupMetadataManager.storeGroup). Where it is not known
// whether it was, another rebalance finds out.
func storeError(err error) error {
	switch {
	case errors.Is(err, coord.ErrTimedOut):
		return fmt.Errorf("%w: %w", ErrRebalanceInProgress, err)
	case errors.Is(err, coord.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// tombstone is the record that ends a group.
func (s *Shard) tombstone(g *Group) coord.Record {
	return coord.Record{Key: groupKey(g.id), Timestamp: s.env.Now().UnixMilli()}
}

func (s *Shard) encode(g *Group, assignments map[string][]byte) []byte {
	v := kmsg.NewGroupMetadataValue()
	v.Version = s.config.RecordVersion
	v.ProtocolType = g.protocolType
	v.Generation = g.generation
	v.Protocol = g.protocol
	if g.leader != "" {
		v.Leader = &g.leader
	}
	v.CurrentStateTimestamp = -1
	if !g.stateSince.IsZero() {
		v.CurrentStateTimestamp = g.stateSince.UnixMilli()
	}
	for _, m := range g.inOrder() {
		vm := kmsg.NewGroupMetadataValueMember()
		vm.MemberID, vm.InstanceID, vm.ClientID, vm.ClientHost = m.id, m.instanceID, m.clientID, m.clientHost
		vm.RebalanceTimeoutMillis = millis(m.rebalanceTimeout)
		vm.SessionTimeoutMillis = millis(m.sessionTimeout)
		if g.protocol != nil {
			vm.Subscription = notNil(m.metadata(*g.protocol))
		}
		vm.Assignment = notNil(assignments[m.id])
		v.Members = append(v.Members, vm)
	}
	return v.AppendTo(nil)
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func millis(d time.Duration) int32 {
	return int32(max(math.MinInt32, min(d.Milliseconds(), math.MaxInt32)))
}

// decodeGroup makes a group of its record.
func decodeGroup(id string, value []byte) (*Group, error) {
	if len(value) < 2 {
		return nil, errors.New("the record is empty")
	}
	v := kmsg.NewGroupMetadataValue()
	if version := int16(binary.BigEndian.Uint16(value)); version < 0 || version > newestGroupVersion {
		return nil, fmt.Errorf("unknown version %d", version)
	}
	if err := v.ReadFrom(value); err != nil {
		return nil, err
	}
	g := newGroup(id, time.Time{})
	if v.CurrentStateTimestamp >= 0 {
		g.stateSince = time.UnixMilli(v.CurrentStateTimestamp)
	}
	g.generation, g.protocolType, g.protocol = v.Generation, v.ProtocolType, v.Protocol
	if len(v.Members) > 0 {
		g.state = Stable
		if g.protocol == nil {
			return nil, errors.New("the group has members and no protocol")
		}
	}
	for i := range v.Members {
		vm := &v.Members[i]
		if g.members[vm.MemberID] != nil || vm.InstanceID != nil && g.statics[*vm.InstanceID] != nil {
			return nil, fmt.Errorf("member %q comes twice", vm.MemberID)
		}
		m := &Member{
			id: vm.MemberID, instanceID: vm.InstanceID, clientID: vm.ClientID, clientHost: vm.ClientHost,
			rebalanceTimeout: time.Duration(vm.RebalanceTimeoutMillis) * time.Millisecond,
			sessionTimeout:   time.Duration(vm.SessionTimeoutMillis) * time.Millisecond,
			protocols:        []Protocol{{Name: *g.protocol, Metadata: vm.Subscription}},
			assignment:       vm.Assignment,
		}
		if v.Version == 0 {
			m.rebalanceTimeout = m.sessionTimeout
		}
		g.add(m, v.ProtocolType, nil)
	}
	if v.Leader != nil && g.members[*v.Leader] != nil {
		g.leader = *v.Leader
	}
	g.reconsider()
	return g, nil
}
