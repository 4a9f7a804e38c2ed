package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/group"
)

// Heartbeat, versions 0 to 4, for the group's coordinator.
//
//	3 static members (KIP-345)
//	4 flexible

func heartbeat(h *Handler, c *call, req *kmsg.HeartbeatRequest, resp *kmsg.HeartbeatResponse) error {
	err := h.mayBeMember(c, req.Group, req.InstanceID)
	if err == nil {
		err = h.Groups.Heartbeat(c.ctx, group.HeartbeatRequest{
			Group: req.Group, MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation})
	}
	resp.ErrorCode = int16(h.code(err))
	return nil
}
