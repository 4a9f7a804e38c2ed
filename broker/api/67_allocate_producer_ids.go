package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AllocateProducerIds, version 0, from brokers, for the controller (KIP-730).

func allocateProducerIDs(h *Handler, c *call, req *kmsg.AllocateProducerIDsRequest, resp *kmsg.AllocateProducerIDsResponse) error {
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	block, err := h.Controller.AllocateProducerIDs(c.ctx, meta.BrokerID(req.BrokerID), meta.BrokerEpoch(req.BrokerEpoch))
	if err != nil {
		resp.ErrorCode = int16(h.code(err))
		return nil
	}
	resp.ProducerIDStart, resp.ProducerIDLen = block.Start, block.Length
	return nil
}
