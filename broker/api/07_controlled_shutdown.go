package api

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ControlledShutdown, versions 0 to 3, from a broker that is about to stop, for the controller.
//
//	0 a request header without client id
//	2 broker epoch (KIP-380)
//	3 flexible
//
// The answer names the partitions that the broker still leads; none means that it may go.

func controlledShutdown(h *Handler, c *call, req *kmsg.ControlledShutdownRequest, resp *kmsg.ControlledShutdownResponse) error {
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	epoch := meta.NoBrokerEpoch
	if req.Version >= 2 {
		epoch = meta.BrokerEpoch(req.BrokerEpoch)
	}
	left, err := h.Controller.ControlledShutdown(c.ctx, meta.BrokerID(req.BrokerID), epoch)
	switch {
	case errors.Is(err, controller.ErrNotController):
		// Not NOT_CONTROLLER: brokers older than that code sent this request, too.
		resp.ErrorCode = int16(wire.ErrStaleControllerEpoch)
	case errors.Is(err, controller.ErrUnknownBroker):
		resp.ErrorCode = int16(wire.ErrUnknownServer)
	case err != nil:
		resp.ErrorCode = int16(h.code(err))
	}
	for _, tp := range left {
		p := kmsg.NewControlledShutdownResponsePartitionsRemaining()
		p.Topic, p.Partition = tp.Topic, tp.Partition
		resp.PartitionsRemaining = append(resp.PartitionsRemaining, p)
	}
	return nil
}
