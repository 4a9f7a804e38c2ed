package api

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Produce, versions 0 to 11.
//
//	 1 throttle time
//	 2 log append time
//	 3 transactional id; exactly one batch of magic 2 for each partition
//	 5 log start offset
//	 7 zstd
//	 8 which records are at fault, and a message (KIP-467)
//	 9 flexible
//	10 the current leader and its address with "not leader" (KIP-951)
//	11 TRANSACTION_ABORTABLE may be returned (KIP-890)

// adminClient is the client id that may write to internal topics (AdminUtils.ADMIN_CLIENT_ID).
const adminClient = "__admin_client"

// production is one produce request on its way.
type production struct {
	h    *Handler
	r    *transport.Request
	req  *kmsg.ProduceRequest
	resp *kmsg.ProduceResponse

	waits   []*replica.Pending                    // of acks=all
	waiting []*kmsg.ProduceResponseTopicPartition // what they are for, in the same order
	failed  bool
}

func produce(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
	req, ok := r.Body.(*kmsg.ProduceRequest)
	if !ok {
		return transport.Reply{Close: true}
	}
	p := production{h: h, r: r, req: req, resp: req.ResponseKind().(*kmsg.ProduceResponse)}
	if message := unparsable(req); message != "" {
		p.failAll(wire.ErrCorruptMessage, &message)
		return p.reply()
	}
	refused := p.refusal()
	var parts []accepted
	p.resp.Topics = make([]kmsg.ProduceResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t, rt := &req.Topics[i], &p.resp.Topics[i]
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(t.Partitions))
		topicRefused := refused
		if topicRefused == wire.None {
			topicRefused = p.topicRefusal(ctx, t.Topic)
		}
		for j := range t.Partitions {
			rt.Partitions[j] = kmsg.NewProduceResponseTopicPartition()
			rp := &rt.Partitions[j]
			rp.Partition, rp.BaseOffset = t.Partitions[j].Partition, -1
			code := topicRefused
			if code == wire.None {
				code = p.partitionRefusal(t.Partitions[j].Records)
			}
			if code != wire.None {
				p.fail(rp, code)
				continue
			}
			parts = append(parts, accepted{tp: meta.TopicPartition{Topic: t.Topic, Partition: rp.Partition}, part: &t.Partitions[j], rp: rp})
		}
	}
	if req.Version >= 3 {
		p.verifyTransaction(ctx, parts)
	}
	for i := range parts {
		if !parts[i].refused {
			p.append(ctx, &parts[i])
		}
	}
	return p.reply()
}

func (p *production) reply() transport.Reply {
	if p.req.Acks == 0 {
		// There is no answer to carry an error, so the connection's end has to.
		return transport.Reply{None: true, Close: p.failed}
	}
	if len(p.waits) == 0 {
		return transport.Reply{Body: p.resp}
	}
	return transport.Reply{Wait: p.wait}
}

// unparsable finds records that no client can have meant, for which a request fails as a whole: Kafka stumbles over them before it
// looks at anything else.
func unparsable(req *kmsg.ProduceRequest) string {
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if _, _, err := record.Next(req.Topics[i].Partitions[j].Records); errors.Is(err, record.ErrCorrupt) {
				return err.Error()
			}
		}
	}
	return ""
}

// failAll answers every partition with the same error.
func (p *production) failAll(code wire.Code, message *string) {
	for i := range p.req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = p.req.Topics[i].Topic
		for _, part := range p.req.Topics[i].Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset, rp.ErrorMessage = part.Partition, -1, message
			p.fail(&rp, code)
			rt.Partitions = append(rt.Partitions, rp)
		}
		p.resp.Topics = append(p.resp.Topics, rt)
	}
}

// refusal checks what concerns the request as a whole.
func (p *production) refusal() wire.Code {
	if p.h.Authorizer == nil || !p.isTransactional() {
		return wire.None
	}
	if id := p.req.TransactionID; id == nil || !p.h.allowed(p.r.Conn, acl.Write, acl.TransactionalID, *id) {
		return wire.ErrTransactionalIDAuthorizationFailed
	}
	return wire.None
}

func (p *production) isTransactional() bool {
	for i := range p.req.Topics {
		for j := range p.req.Topics[i].Partitions {
			if b, err := record.View(p.req.Topics[i].Partitions[j].Records); err == nil && b.IsTransactional() {
				return true
			}
		}
	}
	return false
}

func (p *production) topicRefusal(ctx context.Context, topic string) wire.Code {
	switch {
	case !p.h.topicAllowed(p.r.Conn, acl.Write, topic):
		return wire.ErrTopicAuthorizationFailed
	case p.h.Metadata.Load().Topic(topic) == nil:
		return p.h.unknownTopic(ctx, topic)
	case isInternal(topic) && p.r.Header.ClientID != adminClient:
		return wire.ErrInvalidTopic
	}
	return wire.None
}

// partitionRefusal checks the form of records, as ProduceRequest.validateRecords does, and only then the acks asked for.
func (p *production) partitionRefusal(records []byte) wire.Code {
	if p.req.Version >= 3 {
		b, rest, err := record.Next(records)
		switch {
		case err != nil, b.Magic() < record.Magic2:
			return wire.ErrInvalidRecord
		case b.Codec() == record.Zstd && p.req.Version < 7:
			return wire.ErrUnsupportedCompressionType
		}
		if _, _, err := record.Next(rest); err == nil {
			return wire.ErrInvalidRecord // more than one batch
		}
	}
	if a := p.req.Acks; a != replica.AcksAll && a != 0 && a != 1 {
		return wire.ErrInvalidRequiredAcks
	}
	return wire.None
}

func (p *production) fail(rp *kmsg.ProduceResponseTopicPartition, code wire.Code) {
	p.failed = true
	rp.ErrorCode = int16(code)
}

func (p *production) append(ctx context.Context, part *accepted) {
	rp := part.rp
	a := p.h.Replicas.Append(replica.AppendRequest{
		Partition:    part.tp,
		Records:      part.part.Records,
		Verified:     part.guard,
		Acks:         p.req.Acks,
		Origin:       record.OriginClient,
		LegacyFormat: p.req.Version < 3,
		NoZstd:       p.req.Version < 7,
	})
	if a.Err != nil {
		p.appendFailed(rp, &a, p.h.partitionCode(ctx, part.tp, a.Err))
		return
	}
	if a.Converting > 0 {
		p.h.metrics.conversions.With("Produce").Took(a.Converting)
	}
	rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = a.FirstOffset, a.LogAppendTime, a.LogStartOffset
	if w := a.Pending(); w != nil {
		p.waits = append(p.waits, w)
		p.waiting = append(p.waiting, rp)
	}
}

func (p *production) appendFailed(rp *kmsg.ProduceResponseTopicPartition, a *replica.Appended, code wire.Code) {
	p.fail(rp, code)
	if a.Stored && reportsLogStart(code) {
		rp.LogStartOffset = a.LogStartOffset
	}
	if invalid := (*record.InvalidRecordsError)(nil); errors.As(a.Err, &invalid) {
		for _, e := range invalid.Errors {
			re := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			re.RelativeOffset, re.ErrorMessage = e.Index, &e.Message
			rp.ErrorRecords = append(rp.ErrorRecords, re)
		}
		text := "One or more records have been rejected due to " + itoa(invalid.Count) + " record errors in total."
		rp.ErrorMessage = &text
	}
	p.nameLeader(rp, a.Err)
}

// reportsLogStart is false for errors found before the log was looked at, where Kafka says -1.
func reportsLogStart(code wire.Code) bool {
	switch code {
	case wire.ErrCorruptMessage, wire.ErrUnknownTopicOrPartition, wire.ErrNotLeaderOrFollower, wire.ErrMessageTooLarge,
		wire.ErrRecordListTooLarge, wire.ErrKafkaStorage:
		return false
	}
	return true
}

// nameLeader tells a client that came to the wrong broker where to go (KIP-951).
func (p *production) nameLeader(rp *kmsg.ProduceResponseTopicPartition, err error) {
	var leader *replica.LeaderError
	if p.resp.Version < 10 || !errors.As(err, &leader) || leader.Err != replica.ErrNotLeader {
		return
	}
	rp.CurrentLeader.LeaderID, rp.CurrentLeader.LeaderEpoch = int32(leader.Leader), int32(leader.LeaderEpoch)
	endpoint, ok := p.h.Metadata.Load().Endpoint(leader.Leader, p.r.Conn.Listener())
	if !ok {
		return
	}
	for _, b := range p.resp.Brokers {
		if b.NodeID == int32(leader.Leader) {
			return
		}
	}
	b := kmsg.NewProduceResponseBroker()
	b.NodeID, b.Host, b.Port, b.Rack = int32(leader.Leader), endpoint.Host, endpoint.Port, p.h.rack(leader.Leader)
	p.resp.Brokers = append(p.resp.Brokers, b)
}

// wait answers an acks=all produce once the in-sync replicas have it all.
func (p *production) wait(ctx context.Context) transport.Reply {
	p.h.Replicas.Await(ctx, time.Duration(p.req.TimeoutMillis)*time.Millisecond, p.waits)
	for i, w := range p.waits {
		if w.Err == nil {
			continue
		}
		rp := p.waiting[i]
		code := p.h.code(w.Err)
		rp.ErrorCode = int16(code)
		rp.BaseOffset, rp.LogAppendTime = -1, -1
		if !reportsLogStart(code) {
			rp.LogStartOffset = -1
		}
		p.nameLeader(rp, w.Err)
	}
	return transport.Reply{Body: p.resp}
}
