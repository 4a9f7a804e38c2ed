package txns

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
)

// listed is a transactional id as its coordinator lists it.
type listed struct {
	id, state   string
	coordinator int32
	producer    int64
}

func (t *tool) list() error {
	all, err := t.transactions(t.Int64("duration-filter"))
	if err != nil {
		return t.failed("list transactions", err)
	}
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{l.id, text(l.coordinator), text(l.producer), l.state})
	}
	t.print([]string{"TransactionalId", "Coordinator", "ProducerId", "TransactionState"}, rows)
	return nil
}

// transactions asks every broker for the transactions it coordinates: of some producers, or all.
func (t *tool) transactions(duration int64, producers ...int64) ([]listed, error) {
	_, brokers, err := t.cluster.Describe(t.Context.Context, "listTransactions")
	if err != nil {
		return nil, err
	}
	var all []listed
	for _, broker := range brokers {
		err := t.cluster.Call(t.Context.Context, "listTransactions", client.Broker(broker), func(n *client.Node) error {
			req := kmsg.NewPtrListTransactionsRequest()
			req.ProducerIDFilters, req.DurationFilterMillis = producers, duration
			if version, _, err := n.Supports(req.Key(), 1); err != nil {
				return err
			} else if version < 1 && duration >= 0 {
				return client.Unsupported("ListTransactions")
			}
			answer, err := n.Request(req, 1)
			if err != nil {
				return err
			}
			resp := answer.(*kmsg.ListTransactionsResponse)
			if err := client.FromCode(resp.ErrorCode, nil); err != nil {
				return err
			}
			for _, s := range resp.TransactionStates {
				all = append(all, listed{s.TransactionalID, s.TransactionState, broker, s.ProducerID})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return strings.Compare(a.id, b.id) })
	return all, nil
}

// described is a transactional id as its coordinator describes it.
type described struct {
	kmsg.DescribeTransactionsResponseTransactionState
	coordinator int32
}

func (t *tool) transaction(id string) (d described, err error) {
	const call = "describeTransactions"
	err = t.cluster.Call(t.Context.Context, call+"(api=FIND_COORDINATOR)", client.Any, func(n *client.Node) error {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKey, req.CoordinatorType = id, 1
		answer, err := n.Request(req, 3)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.FindCoordinatorResponse)
		d.coordinator = resp.NodeID
		return client.FromCode(resp.ErrorCode, resp.ErrorMessage)
	})
	if err != nil {
		return d, err
	}
	err = t.cluster.Call(t.Context.Context, call, client.Broker(d.coordinator), func(n *client.Node) error {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = []string{id}
		answer, err := n.Request(req, 0)
		if err != nil {
			return err
		}
		states := answer.(*kmsg.DescribeTransactionsResponse).TransactionStates
		if len(states) != 1 {
			return fmt.Errorf("the answer describes %d transactions", len(states))
		}
		d.DescribeTransactionsResponseTransactionState = states[0]
		if states[0].ErrorCode == codeUnknownTransactionalID {
			return &client.Error{Class: client.ClassOf(codeUnknownTransactionalID), Code: codeUnknownTransactionalID,
				Message: "DescribeTransactions request for transactionalId `" + id + "` failed because the ID could not be found"}
		}
		return client.FromCode(states[0].ErrorCode, nil)
	})
	return d, err
}

const codeUnknownTransactionalID = 105

func (t *tool) describe() error {
	id := t.String("transactional-id")
	d, err := t.transaction(id)
	if err != nil {
		return t.failed("describe transaction state of transactional-id `"+id+"`", err)
	}
	duration := int64(-1)
	if d.StartTimestamp >= 0 {
		duration = max(0, time.Now().UnixMilli()-d.StartTimestamp)
	}
	var partitions []string
	for _, topic := range d.Topics {
		for _, p := range topic.Partitions {
			partitions = append(partitions, fmt.Sprintf("%s-%d", topic.Topic, p))
		}
	}
	t.print([]string{"CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs",
		"CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions"},
		[][]string{{text(d.coordinator), id, text(d.ProducerID), text(d.ProducerEpoch), d.State, text(d.TimeoutMillis),
			atLeastZero(d.StartTimestamp), atLeastZero(duration), strings.Join(partitions, ",")}})
	return nil
}
