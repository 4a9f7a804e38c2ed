package api

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/group"
)

// JoinGroup, versions 0 to 9, for the group's coordinator. It is answered when the join phase ends.
//
//	1 rebalance timeout; before, the session timeout is both
//	4 a new member is given its id first (KIP-394)
//	5 static members (KIP-345)
//	6 flexible
//	7 the answer has the protocol type, and may have no protocol (KIP-559)
//	8 reason (KIP-800)
//	9 a static leader that came back skips assigning (KIP-814)

func joinGroup(h *Handler, c *call, req *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse) error {
	r := h.join(c, req)
	resp.ErrorCode = int16(h.code(r.Err))
	resp.Generation, resp.LeaderID, resp.MemberID, resp.SkipAssignment = r.Generation, r.Leader, r.MemberID, r.SkipAssignment
	resp.ProtocolType, resp.Protocol = r.ProtocolType, r.Protocol
	if resp.Protocol == nil && req.Version < 7 {
		resp.Protocol = kmsg.StringPtr("")
	}
	for _, m := range r.Members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.ID, m.InstanceID, m.Metadata
		resp.Members = append(resp.Members, rm)
	}
	return nil
}

func (h *Handler) join(c *call, req *kmsg.JoinGroupRequest) group.JoinReply {
	if err := h.mayBeMember(c, req.Group, req.InstanceID); err != nil {
		return group.JoinReply{Err: err, Generation: -1}
	}
	q := group.JoinRequest{
		Group:             req.Group,
		MemberID:          req.MemberID,
		InstanceID:        req.InstanceID,
		RequireMemberID:   req.Version >= 4 && req.InstanceID == nil,
		CanSkipAssignment: req.Version >= 9,
		ClientID:          c.Header.ClientID,
		ClientHost:        javaAddress(c.Conn.RemoteAddr().Addr()),
		RebalanceTimeout:  time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond,
		SessionTimeout:    time.Duration(req.SessionTimeoutMillis) * time.Millisecond,
		ProtocolType:      req.ProtocolType,
		Reason:            req.Reason,
	}
	if req.Version < 1 {
		q.RebalanceTimeout = q.SessionTimeout
	}
	for _, p := range req.Protocols {
		q.Protocols = append(q.Protocols, group.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
	}
	defer c.waiting()()
	return h.Groups.Join(c.ctx, q)
}
