package api

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
)

// ListTransactions, versions 0 and 1, for any broker about what it coordinates (KIP-664).
//
//	1 by duration (KIP-994)

func listTransactions(h *Handler, c *call, req *kmsg.ListTransactionsRequest, resp *kmsg.ListTransactionsResponse) error {
	all, err := h.Txns.List(c.ctx)
	if err != nil {
		resp.ErrorCode = int16(h.code(err))
		return nil
	}
	var states []txn.State
	for _, name := range req.StateFilters {
		if s, ok := txn.ParseState(name); ok {
			states = append(states, s)
		} else {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	now := time.Now().UnixMilli()
	for _, d := range all {
		switch {
		case len(req.StateFilters) > 0 && !slices.Contains(states, d.State):
		case len(req.ProducerIDFilters) > 0 && !slices.Contains(req.ProducerIDFilters, d.ProducerID):
		case req.Version >= 1 && req.DurationFilterMillis >= 0 && now-d.StartMs <= req.DurationFilterMillis:
		case !h.allowed(c.Conn, acl.Describe, acl.TransactionalID, d.TransactionalID):
		default:
			rs := kmsg.NewListTransactionsResponseTransactionState()
			rs.TransactionalID, rs.ProducerID, rs.TransactionState = d.TransactionalID, d.ProducerID, d.State.String()
			resp.TransactionStates = append(resp.TransactionStates, rs)
		}
	}
	resp.ErrorCode = int16(wire.None)
	return nil
}
