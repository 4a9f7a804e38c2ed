package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// AddOffsetsToTxn, versions 0 to 4, for the coordinator of a transactional id: the group's partition of __consumer_offsets becomes
// part of the transaction.
//
//	2 PRODUCER_FENCED (KIP-588)
//	3 flexible
//	4 TRANSACTION_ABORTABLE (KIP-890)

func addOffsetsToTxn(h *Handler, c *call, req *kmsg.AddOffsetsToTxnRequest, resp *kmsg.AddOffsetsToTxnResponse) error {
	var code wire.Code
	switch {
	case !h.allowed(c.Conn, acl.Write, acl.TransactionalID, req.TransactionalID):
		code = wire.ErrTransactionalIDAuthorizationFailed
	case !h.allowed(c.Conn, acl.Read, acl.Group, req.Group):
		code = wire.ErrGroupAuthorizationFailed
	default:
		number, known := h.Placement.PartitionFor(offsetsTopic, req.Group)
		if !known && h.Metadata.Load().Topic(offsetsTopic) != nil {
			// It would be a guess, and what is written to another partition would never be committed. Clients ask again.
			code = wire.ErrCoordinatorNotAvailable
			break
		}
		err := h.Txns.AddPartitions(c.ctx, txn.Producer{TransactionalID: req.TransactionalID, ID: req.ProducerID, Epoch: req.ProducerEpoch},
			[]meta.TopicPartition{{Topic: offsetsTopic, Partition: number}})
		code = h.code(err)
	}
	resp.ErrorCode = int16(fencedBefore(2, req.Version, code))
	return nil
}
