package api

import (
	"context"

	"github.com/kraal-mq/kraal/broker/fetchsession"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// begin finds the fetch's session. Those of followers are watched: what a poll costs does not depend on how many
// partitions they have.
func (f *fetching) begin(privileged bool) wire.Code {
	resolve := func(id meta.TopicID) (string, bool) {
		if t := f.h.Metadata.Load().TopicByID(id); t != nil {
			return t.Name, true
		}
		return "", false
	}
	var code wire.Code
	if privileged {
		follower := f.params.Replica
		f.session, code = f.h.Sessions.BeginWatched(f.req, privileged, resolve, func() any { return f.h.Replicas.NewWatch(follower) })
	} else {
		f.session, code = f.h.Sessions.Begin(f.req, privileged, resolve)
	}
	return code
}

// poll serves a fetch in a watched session: only the partitions with news are read, and answered.
func (f *fetching) poll(ctx context.Context, watch *replica.FetchWatch) *wire.FetchResponse {
	var asks []replica.WatchAsk
	for _, a := range f.session.Asked() {
		asks = append(asks, replica.WatchAsk{Slot: a.Slot, FetchPartition: readOf(&a.Partition)})
	}
	unresolved := f.session.Unresolved()
	if len(unresolved) > 0 {
		f.params.MaxWait = 0 // an error is not kept waiting
	}
	polled := watch.Poll(ctx, &f.params, asks, f.session.Forgotten())

	n := len(polled) + len(unresolved)
	f.parts = make([]fetchsession.Partition, 0, n)
	slots, answers, results := make([]int, 0, n), make([]wire.FetchPartition, 0, n), make([]fetchsession.Result, 0, n)
	add := func(slot int, p fetchsession.Partition, a wire.FetchPartition) {
		f.parts, slots = append(f.parts, p), append(slots, slot)
		answers, results = append(answers, a), append(results, result(&a))
	}
	for i := range polled {
		asked := &polled[i].Asked
		p := fetchsession.Partition{Topic: asked.Partition.Topic, TopicID: asked.TopicID, Partition: asked.Partition.Partition, FetchOffset: asked.Offset}
		add(polled[i].Slot, p, f.answer(&p, &polled[i].Fetched))
	}
	for i := range unresolved {
		a := wire.NewFetchPartition(unresolved[i].Partition.Partition, f.h.unknownTopicID(ctx))
		a.AbortedTransactions = noneAborted
		add(unresolved[i].Slot, unresolved[i].Partition, a)
	}
	resp := &wire.FetchResponse{Version: f.req.Version}
	var include []bool
	resp.SessionID, include, resp.Code = f.session.FinishSlots(slots, results)
	if resp.Code != wire.None {
		watch.Forfeit()
	}
	f.compose(resp, answers, include)
	return resp
}

func readOf(p *fetchsession.Partition) replica.FetchPartition {
	return replica.FetchPartition{
		Partition: meta.TopicPartition{Topic: p.Topic, Partition: p.Partition}, TopicID: p.TopicID,
		Offset: p.FetchOffset, LogStart: p.LogStartOffset, MaxBytes: int(p.MaxBytes),
		CurrentLeaderEpoch: p.CurrentLeaderEpoch, LastFetchedEpoch: p.LastFetchedEpoch,
	}
}
