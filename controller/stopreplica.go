package controller

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// StopReplicaRequest is kmsg's, encoded as Kafka does. Version 4 (KIP-866) put IsKRaftController between the controller's
// id and its epoch (clients/src/main/resources/common/message/StopReplicaRequest.json); kmsg has it behind the epoch, so a
// Kafka broker would read another epoch and a KRaft controller out of it.
type StopReplicaRequest struct {
	kmsg.StopReplicaRequest
}

const (
	kraftFlagAt       = 4 // offset of IsKRaftController: behind the controller's id
	kraftFlagSince    = 4 // first version that has it
	beforeKRaftFlag   = 3 // otherwise the same as version 4
	stopReplicaHeader = kraftFlagAt + 1
)

// AppendTo appends the request in wire form.
func (r *StopReplicaRequest) AppendTo(dst []byte) []byte {
	if r.Version < kraftFlagSince {
		return r.StopReplicaRequest.AppendTo(dst)
	}
	v3 := r.StopReplicaRequest
	v3.Version = beforeKRaftFlag
	at := len(dst) + kraftFlagAt
	dst = v3.AppendTo(dst)
	dst = append(dst, 0)
	copy(dst[at+1:], dst[at:])
	dst[at] = 0
	if r.IsKRaftController {
		dst[at] = 1
	}
	return dst
}

// ReadFrom is the inverse of AppendTo.
func (r *StopReplicaRequest) ReadFrom(src []byte) error {
	if r.Version < kraftFlagSince {
		return r.StopReplicaRequest.ReadFrom(src)
	}
	if len(src) < stopReplicaHeader {
		return errors.New("StopReplica request is too short")
	}
	v3 := make([]byte, 0, len(src)-1)
	v3 = append(append(v3, src[:kraftFlagAt]...), src[stopReplicaHeader:]...)
	version := r.Version
	r.Version = beforeKRaftFlag
	err := r.StopReplicaRequest.ReadFrom(v3)
	r.Version = version
	r.IsKRaftController = src[kraftFlagAt] != 0
	return err
}

// UnsafeReadFrom is ReadFrom: nothing is gained from sharing the strings of so rare a request.
func (r *StopReplicaRequest) UnsafeReadFrom(src []byte) error { return r.ReadFrom(src) }
