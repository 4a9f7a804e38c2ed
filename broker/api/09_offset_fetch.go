package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// OffsetFetch, versions 0 to 9, for the group's coordinator; version 0 for any broker.
//
//	0 the offset comes from ZooKeeper; that there is none is an error
//	1 from the coordinator
//	2 all topics, and an error of the whole
//	5 leader epoch (KIP-320)
//	6 flexible
//	7 stable offsets may be required (KIP-447)
//	8 several groups (KIP-709)
//	9 member id and epoch (KIP-848), which say nothing here

func offsetFetch(h *Handler, c *call, req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) error {
	if req.Version >= 8 {
		for _, g := range req.Groups {
			rg := kmsg.NewOffsetFetchResponseGroup()
			rg.Group = g.Group
			f := offsetFetching{h: h, c: c, group: g.Group, all: g.Topics == nil, stable: req.RequireStable}
			for _, t := range g.Topics {
				f.ask(t.Topic, t.Partitions)
			}
			rg.ErrorCode = int16(f.fetch())
			for _, t := range f.found.topics {
				rt := kmsg.OffsetFetchResponseGroupTopic{Topic: t.name}
				for _, p := range t.partitions {
					rp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
					rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = p.id, p.offset, p.epoch, &p.metadata, int16(p.code)
					rt.Partitions = append(rt.Partitions, rp)
				}
				rg.Topics = append(rg.Topics, rt)
			}
			resp.Groups = append(resp.Groups, rg)
		}
		return nil
	}
	f := offsetFetching{h: h, c: c, group: req.Group, all: req.Topics == nil, stable: req.RequireStable}
	for _, t := range req.Topics {
		f.ask(t.Topic, t.Partitions)
	}
	var code wire.Code
	if req.Version == 0 {
		f.fetchZooKeeper()
	} else {
		code = f.fetch()
	}
	resp.ErrorCode = int16(code)
	for _, t := range f.found.topics {
		rt := kmsg.OffsetFetchResponseTopic{Topic: t.name}
		for _, p := range t.partitions {
			rp := kmsg.NewOffsetFetchResponseTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata, rp.ErrorCode = p.id, p.offset, p.epoch, &p.metadata, int16(p.code)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return nil
}

// offsetFetching is what is asked of one group.
type offsetFetching struct {
	h      *Handler
	c      *call
	group  string
	all    bool
	stable bool
	asked  []meta.TopicPartition
	found  byTopic[foundOffset]
}

type foundOffset struct {
	id       int32
	offset   int64
	epoch    int32
	metadata string
	code     wire.Code
}

func (f *offsetFetching) ask(topic string, partitions []int32) {
	for _, p := range partitions {
		f.asked = append(f.asked, meta.TopicPartition{Topic: topic, Partition: p})
	}
}

func (f *offsetFetching) none(tp meta.TopicPartition, code wire.Code) {
	f.found.add(tp.Topic, foundOffset{id: tp.Partition, offset: -1, epoch: -1, code: code})
}

func (f *offsetFetching) mayDescribeGroup() bool {
	return f.h.allowed(f.c.Conn, acl.Describe, acl.Group, f.group)
}

func (f *offsetFetching) mayDescribe(topic string) bool {
	return f.h.topicAllowed(f.c.Conn, acl.Describe, topic)
}

// fetch asks the coordinator. The error is about the group; there are no topics then.
func (f *offsetFetching) fetch() wire.Code {
	if !f.mayDescribeGroup() {
		return wire.ErrGroupAuthorizationFailed
	}
	allowed := make([]meta.TopicPartition, 0, len(f.asked))
	var denied []meta.TopicPartition
	for _, tp := range f.asked {
		if f.mayDescribe(tp.Topic) {
			allowed = append(allowed, tp)
		} else {
			denied = append(denied, tp)
		}
	}
	defer f.c.waiting()()
	offsets, err := f.h.Groups.Fetch(f.c.ctx, f.group, allowed, f.all, f.stable)
	if err != nil {
		return f.h.commitCode(err)
	}
	for _, o := range offsets {
		if f.all && !f.mayDescribe(o.Topic) {
			continue
		}
		f.found.add(o.Topic, foundOffset{id: o.Partition, offset: o.Offset, epoch: int32(o.LeaderEpoch), metadata: o.Metadata, code: f.h.code(o.Err)})
	}
	for _, tp := range denied {
		f.none(tp, wire.ErrTopicAuthorizationFailed)
	}
	return wire.None
}

// fetchZooKeeper asks ZooKeeper.
func (f *offsetFetching) fetchZooKeeper() {
	if !f.mayDescribeGroup() {
		for _, tp := range f.asked {
			f.none(tp, wire.ErrGroupAuthorizationFailed)
		}
		return
	}
	fleet := f.h.Metadata.Load()
	asked := make([]meta.TopicPartition, 0, len(f.asked))
	for _, tp := range f.asked {
		if f.mayDescribe(tp.Topic) && fleet.Partition(tp.Topic, tp.Partition) != nil {
			asked = append(asked, tp)
		}
	}
	offsets, broken, err := f.h.Znodes().Offsets(f.c.ctx, f.group, asked)
	for _, tp := range f.asked {
		offset, found := offsets[tp]
		switch {
		case !f.mayDescribe(tp.Topic):
			f.none(tp, wire.ErrTopicAuthorizationFailed)
		case err != nil:
			f.none(tp, f.h.code(err))
		case broken[tp] != nil:
			f.none(tp, f.h.code(broken[tp]))
		case !found:
			f.none(tp, wire.ErrUnknownTopicOrPartition)
		default:
			f.found.add(tp.Topic, foundOffset{id: tp.Partition, offset: offset, epoch: -1})
		}
	}
}
