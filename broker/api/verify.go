package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// accepted is one partition of a produce that nothing speaks against so far.
type accepted struct {
	tp    meta.TopicPartition
	part  *kmsg.ProduceRequestTopicPartition
	rp    *kmsg.ProduceResponseTopicPartition
	guard storage.VerificationGuard

	refused bool // after all
}

// verifyTransaction asks the coordinator about partitions in which the producer of the request has no transaction open, before
// records open one (KIP-890). Refused are those that are not part of the producer's transaction.
func (p *production) verifyTransaction(ctx context.Context, parts []accepted) {
	var id *producerOf
	for i := range parts {
		b, err := record.View(parts[i].part.Records)
		if err != nil || !b.HasProducerID() || !b.IsTransactional() {
			continue
		}
		this := producerOf{b.ProducerID(), b.ProducerEpoch()}
		if id != nil && *id != this {
			for j := range parts {
				p.refuse(&parts[j], wire.ErrInvalidProducerIDMapping, "")
			}
			return
		}
		id = &this
	}
	if id == nil || p.req.TransactionID == nil || *p.req.TransactionID == "" || !p.h.Config.Current().Txn.PartitionVerificationEnable {
		return
	}
	v := txn.Verification{Producer: txn.Producer{TransactionalID: *p.req.TransactionID, ID: id.id, Epoch: id.epoch}}
	var open []*accepted
	for i := range parts {
		a := &parts[i]
		b, err := record.View(a.part.Records)
		if err != nil || !b.IsTransactional() {
			continue
		}
		guard, needed, err := p.h.Replicas.StartVerification(a.tp, id.id, id.epoch, b.BaseSequence())
		switch {
		case err != nil:
			p.refuse(a, p.h.code(err), "")
			p.nameLeader(a.rp, err)
		case needed:
			a.guard = guard
			open, v.Partitions = append(open, a), append(v.Partitions, a.tp)
		}
	}
	if len(open) == 0 {
		return
	}
	for i, err := range p.h.Verifier.Verify(ctx, v) {
		if code := p.h.verifyCode(err, p.req.Version >= 11); code != wire.None {
			code, message := produceVerifyCode(code)
			p.refuse(open[i], code, message)
		}
	}
}

type producerOf struct {
	id    int64
	epoch int16
}

func (p *production) refuse(a *accepted, code wire.Code, message string) {
	a.refused = true
	p.fail(a.rp, code)
	if message != "" {
		a.rp.ErrorMessage = &message
	}
}

// verifyCode is what a verification comes to for a client (AddPartitionsToTxnManager.scala). abortable: its request is recent enough
// to be told that the transaction may be aborted.
func (h *Handler) verifyCode(err error, abortable bool) wire.Code {
	switch code := h.code(err); {
	case code == wire.ErrProducerFenced:
		return wire.ErrInvalidProducerEpoch
	case code == wire.ErrTransactionAbortable && !abortable:
		return wire.ErrInvalidTxnState
	default:
		return code
	}
}

// produceVerifyCode is verifyCode in the words that producers know (ReplicaManager.handleProduceAppend): those that call for another
// attempt become an error on which old clients make one, without asking for metadata first.
func produceVerifyCode(code wire.Code) (wire.Code, string) {
	switch code {
	case wire.ErrInvalidTxnState:
		return code, "Partition was not added to the transaction"
	case wire.ErrConcurrentTransactions, wire.ErrNetwork, wire.ErrCoordinatorLoadInProgress, wire.ErrCoordinatorNotAvailable, wire.ErrNotCoordinator:
		return wire.ErrNotEnoughReplicas, "Unable to verify the partition has been added to the transaction. Underlying error: " + code.Name()
	}
	return code, ""
}
