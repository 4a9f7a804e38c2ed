package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
)

// DescribeTransactions, version 0, for the coordinators of transactional ids (KIP-664).

func describeTransactions(h *Handler, c *call, req *kmsg.DescribeTransactionsRequest, resp *kmsg.DescribeTransactionsResponse) error {
	for _, id := range req.TransactionalIDs {
		rs := kmsg.NewDescribeTransactionsResponseTransactionState()
		rs.TransactionalID = id
		if code := h.describeTransaction(c, id, &rs); code != wire.None {
			rs.ErrorCode = int16(code)
		}
		resp.TransactionStates = append(resp.TransactionStates, rs)
	}
	return nil
}

func (h *Handler) describeTransaction(c *call, id string, rs *kmsg.DescribeTransactionsResponseTransactionState) wire.Code {
	if !h.allowed(c.Conn, acl.Describe, acl.TransactionalID, id) {
		return wire.ErrTransactionalIDAuthorizationFailed
	}
	d, err := h.Txns.Describe(c.ctx, id)
	if err != nil {
		return h.code(err)
	}
	rs.State, rs.TimeoutMillis, rs.StartTimestamp, rs.ProducerID, rs.ProducerEpoch = d.State.String(), d.TimeoutMs, d.StartMs, d.ProducerID, d.ProducerEpoch
	for _, tp := range d.Partitions { // sorted
		if !h.topicAllowed(c.Conn, acl.Describe, tp.Topic) {
			continue
		}
		if n := len(rs.Topics); n == 0 || rs.Topics[n-1].Topic != tp.Topic {
			t := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			t.Topic = tp.Topic
			rs.Topics = append(rs.Topics, t)
		}
		last := &rs.Topics[len(rs.Topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return wire.None
}
