package zkstore

import (
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetDetails is what Kafka keeps with a committed offset and the decimal in ZooKeeper has no room for. It has a znode
// of its own beside the offset's, outside of the folder that old consumers and their tools look into, and only when
// there is something to say.
type OffsetDetails struct {
	LeaderEpoch meta.LeaderEpoch // of the record before the offset; -1: not told
	Metadata    string           // the client's own words
	// CommitTimestamp is when it was committed, in milliseconds; -1: when the offset's znode was written.
	CommitTimestamp int64
	// Retention is for how many milliseconds after that the client wants it kept; -1: as the brokers' config says.
	Retention int64
	// Position is the newest record of the group's partition of __consumer_offsets that the offset in the tree
	// includes or supersedes.
	Position OffsetPosition
}

// OffsetPosition is a record's place in a log whose leaders count their epochs.
type OffsetPosition struct {
	LeaderEpoch meta.LeaderEpoch
	Offset      int64
}

// NoOffsetPosition is before every record.
func NoOffsetPosition() OffsetPosition { return OffsetPosition{LeaderEpoch: -1, Offset: -1} }

// NoOffsetDetails says nothing: the znode is not there.
func NoOffsetDetails() OffsetDetails {
	return OffsetDetails{LeaderEpoch: meta.NoLeaderEpoch, CommitTimestamp: -1, Retention: -1, Position: NoOffsetPosition()}
}

const offsetDetailsVersion = 1

// encodeOffsetDetails writes {"version":1,"leader_epoch":4,"metadata":"m","commit_timestamp":1700000000000,
// "retention_ms":60000,"position":{"leader_epoch":7,"offset":1234}}, leaving out what is not told.
func encodeOffsetDetails(d OffsetDetails) []byte {
	b := make([]byte, 0, 64+len(d.Metadata))
	b = append(b, `{"version":`...)
	b = appendInt(b, offsetDetailsVersion)
	if d.LeaderEpoch >= 0 {
		b = append(b, `,"leader_epoch":`...)
		b = appendInt(b, d.LeaderEpoch)
	}
	if d.Metadata != "" {
		b = append(b, `,"metadata":`...)
		b = appendString(b, d.Metadata)
	}
	if d.CommitTimestamp >= 0 {
		b = append(b, `,"commit_timestamp":`...)
		b = appendInt(b, d.CommitTimestamp)
	}
	if d.Retention >= 0 {
		b = append(b, `,"retention_ms":`...)
		b = appendInt(b, d.Retention)
	}
	if d.Position.Offset >= 0 {
		b = append(b, `,"position":{"leader_epoch":`...)
		b = appendInt(b, d.Position.LeaderEpoch)
		b = append(b, `,"offset":`...)
		b = appendInt(b, d.Position.Offset)
		b = append(b, '}')
	}
	return append(b, '}')
}

// decodeOffsetDetails takes a znode without data for nothing said.
func decodeOffsetDetails(data []byte) (OffsetDetails, error) {
	if len(data) == 0 {
		return NoOffsetDetails(), nil
	}
	d, err := parseOffsetDetails(data)
	if err != nil {
		return NoOffsetDetails(), err
	}
	return d, nil
}

func parseOffsetDetails(data []byte) (OffsetDetails, error) {
	d := NoOffsetDetails()
	o, err := parseObject(data)
	if err != nil {
		return d, err
	}
	if d.LeaderEpoch, err = optional(o, "leader_epoch", asInt[meta.LeaderEpoch](32), meta.NoLeaderEpoch); err != nil {
		return d, err
	}
	if d.Metadata, err = optional(o, "metadata", asString, ""); err != nil {
		return d, err
	}
	if d.CommitTimestamp, err = optional(o, "commit_timestamp", asInt[int64](64), -1); err != nil {
		return d, err
	}
	if d.Retention, err = optional(o, "retention_ms", asInt[int64](64), -1); err != nil {
		return d, err
	}
	position, err := optional(o, "position", asObject, nil)
	if err != nil || position == nil {
		return d, err
	}
	if d.Position.LeaderEpoch, err = mandatory(position, "leader_epoch", asInt[meta.LeaderEpoch](32)); err != nil {
		return d, err
	}
	d.Position.Offset, err = mandatory(position, "offset", asInt[int64](64))
	return d, err
}

// CommittedOffset is what the tree has of one committed offset.
type CommittedOffset struct {
	Offset     int64
	Modified   time.Time // when the offset's znode was written
	Details    OffsetDetails
	HasDetails bool // the details have a znode
}
