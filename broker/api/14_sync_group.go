package api

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/wire"
)

// SyncGroup, versions 0 to 5, for the group's coordinator. It is answered when the leader's assignment is in the log.
//
//	3 static members (KIP-345)
//	4 flexible
//	5 protocol type and name, both ways; the request must have them (KIP-559)

func syncGroup(h *Handler, c *call, req *kmsg.SyncGroupRequest, resp *kmsg.SyncGroupResponse) error {
	r := h.sync(c, req)
	resp.ErrorCode = int16(h.code(r.Err))
	resp.ProtocolType, resp.Protocol, resp.MemberAssignment = r.ProtocolType, r.Protocol, r.Assignment
	if resp.MemberAssignment == nil {
		resp.MemberAssignment = []byte{}
	}
	return nil
}

func (h *Handler) sync(c *call, req *kmsg.SyncGroupRequest) group.SyncReply {
	err := h.mayBeStatic(req.InstanceID)
	if err == nil && req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		err = wire.ErrInconsistentGroupProtocol
	}
	if err == nil {
		err = h.mayReadGroup(c, req.Group)
	}
	if err != nil {
		return group.SyncReply{Err: err}
	}
	q := group.SyncRequest{
		Group: req.Group, MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
		ProtocolType: req.ProtocolType, Protocol: req.Protocol,
		Assignments: make(map[string][]byte, len(req.GroupAssignment)),
	}
	for _, a := range req.GroupAssignment {
		q.Assignments[a.MemberID] = bytes.Clone(a.MemberAssignment)
	}
	defer c.waiting()()
	return h.Groups.Sync(c.ctx, q)
}
