package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/group"
)

// LeaveGroup, versions 0 to 5, for the group's coordinator.
//
//	3 several members, by member id or, static ones, by instance id; before, the one member's error is the whole's
//	4 flexible
//	5 reason (KIP-800)

func leaveGroup(h *Handler, c *call, req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) error {
	if err := h.mayReadGroup(c, req.Group); err != nil {
		resp.ErrorCode = int16(h.code(err))
		return nil
	}
	var leaving []group.Leaving
	if req.Version < 3 {
		leaving = []group.Leaving{{MemberID: req.MemberID}}
	}
	for _, m := range req.Members {
		leaving = append(leaving, group.Leaving{MemberID: m.MemberID, InstanceID: m.InstanceID, Reason: m.Reason})
	}
	outcomes, err := h.Groups.Leave(c.ctx, req.Group, leaving)
	if err == nil && req.Version < 3 {
		err = outcomes[0]
	}
	resp.ErrorCode = int16(h.code(err))
	if err != nil || req.Version < 3 {
		return nil
	}
	for i, l := range leaving {
		rm := kmsg.NewLeaveGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ErrorCode = l.MemberID, l.InstanceID, int16(h.code(outcomes[i]))
		resp.Members = append(resp.Members, rm)
	}
	return nil
}
