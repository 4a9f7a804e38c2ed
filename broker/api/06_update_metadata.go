package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
)

// UpdateMetadata, versions 0 to 8, from the controller.
//
//	1 endpoints
//	2 racks
//	3 listener names
//	4 offline replicas
//	5 broker epoch; partitions grouped by topic
//	6 flexible
//	7 topic ids
//	8 whether a KRaft controller sends it

func updateMetadata(h *Handler, c *call, req *kmsg.UpdateMetadataRequest, resp *kmsg.UpdateMetadataResponse) error {
	if !h.clusterAllowed(c.Conn, acl.ClusterAction) {
		resp.ErrorCode = int16(wire.ErrClusterAuthorizationFailed)
		return nil
	}
	var changes metadata.Changes
	err := h.Replicas.Admit(sender(req.ControllerID, req.ControllerEpoch, req.BrokerEpoch, req.Version >= 5), func() {
		changes = h.Metadata.Apply(req)
	})
	if len(changes.Deleted) > 0 {
		if err := h.Groups.PartitionsDeleted(c.ctx, changes.Deleted); err != nil {
			h.Logger.Info("offsets of deleted partitions may be left to expire", zap.Int("partitions", len(changes.Deleted)), zap.Error(err))
		}
	}
	resp.ErrorCode = int16(h.code(err))
	return nil
}
