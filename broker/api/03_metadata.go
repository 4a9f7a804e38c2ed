package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Metadata, versions 0 to 12.
//
//	 1 null means all topics; rack, controller id, internal flag
//	 2 cluster id
//	 3 throttle time
//	 4 the client says whether missing topics may be created
//	 5 offline replicas
//	 7 leader epoch
//	 8 authorized operations
//	 9 flexible
//	10 topic ids in the response
//	11 no more authorized operations for the cluster
//	12 lookup by topic id

func metadataRequest(h *Handler, c *call, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) error {
	snapshot := h.informed(c.ctx, askedNames(req))
	m := metadataAnswer{h: h, c: c, req: req, resp: resp, snapshot: snapshot}
	resp.ControllerID, resp.AuthorizedOperations = int32(meta.NoBroker), operationsNotAsked
	if code := malformed(req); code != wire.None {
		m.failAll(code)
		return nil
	}
	listener := c.Conn.Listener()
	for _, b := range snapshot.Brokers() {
		if e, ok := b.Endpoint(listener); ok {
			rb := kmsg.NewMetadataResponseBroker()
			rb.NodeID, rb.Host, rb.Port, rb.Rack = int32(b.ID), e.Host, e.Port, h.rack(b.ID)
			resp.Brokers = append(resp.Brokers, rb)
		}
	}
	resp.ClusterID, resp.ControllerID = &h.ClusterID, int32(snapshot.ControllerID())
	if req.Version >= 8 && req.Version <= 10 && req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = 0
		if h.clusterAllowed(c.Conn, acl.Describe) {
			resp.AuthorizedOperations = h.operations(c.Conn, acl.Cluster, acl.ClusterName)
		}
	}
	m.topics()
	resp.Topics = append(resp.Topics, m.denied...)
	return nil
}

type metadataAnswer struct {
	h        *Handler
	c        *call
	req      *kmsg.MetadataRequest
	resp     *kmsg.MetadataResponse
	snapshot *picture
	denied   []kmsg.MetadataResponseTopic // come last
}

// askedNames are the topics a request is about; nil: all, or some that are asked for by id.
func askedNames(req *kmsg.MetadataRequest) []string {
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		return nil
	}
	names := make([]string, 0, len(req.Topics))
	for _, t := range req.Topics {
		if t.Topic == nil {
			return nil
		}
		names = append(names, *t.Topic)
	}
	return names
}

func (m *metadataAnswer) topics() {
	asked := m.req.Topics
	if asked == nil || m.req.Version == 0 && len(asked) == 0 {
		m.allTopics()
		return
	}
	if namesIDs(m.req) {
		m.byIDs()
		return
	}
	seen := make(map[string]struct{}, len(asked))
	for _, t := range asked {
		if _, again := seen[*t.Topic]; !again {
			seen[*t.Topic] = struct{}{}
			m.byName(*t.Topic)
		}
	}
}

// malformed finds requests that fail as a whole, every topic alike.
func malformed(req *kmsg.MetadataRequest) wire.Code {
	byID := namesIDs(req)
	for _, t := range req.Topics {
		switch {
		case req.Version >= 10 && req.Version < 12 && (t.TopicID != [16]byte{} || t.Topic == nil):
			return wire.ErrInvalidRequest // the field was there too early, and nobody read it
		case !byID && t.Topic == nil:
			return wire.ErrUnknownServer
		}
	}
	return wire.None
}

// namesIDs reports whether topics are asked for by id; then names count for nothing.
func namesIDs(req *kmsg.MetadataRequest) bool {
	return req.Version >= 12 && slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != [16]byte{} })
}

// allTopics lists what there is. Where that is not known, no brokers are named either: clients take such an answer for none.
func (m *metadataAnswer) allTopics() {
	if !m.snapshot.whole {
		m.resp.Brokers = nil
		return
	}
	for name := range m.snapshot.unseen {
		if m.h.topicAllowed(m.c.Conn, acl.Describe, name) {
			m.put(m.failure(&name, meta.TopicID{}, wire.ErrLeaderNotAvailable))
		}
	}
	for t := range m.snapshot.Topics() {
		if _, unseen := m.snapshot.unseen[t.Name]; !unseen && m.h.topicAllowed(m.c.Conn, acl.Describe, t.Name) {
			m.add(t)
		}
	}
	slices.SortFunc(m.resp.Topics, func(a, b kmsg.MetadataResponseTopic) int {
		return compareNames(a.Topic, b.Topic)
	})
}

func compareNames(a, b *string) int {
	switch {
	case *a < *b:
		return -1
	case *a > *b:
		return 1
	}
	return 0
}

func (m *metadataAnswer) failAll(code wire.Code) {
	for _, t := range m.req.Topics {
		m.put(m.failure(t.Topic, t.TopicID, code))
	}
}

func (m *metadataAnswer) put(t kmsg.MetadataResponseTopic) { m.resp.Topics = append(m.resp.Topics, t) }

func (m *metadataAnswer) failure(name *string, id meta.TopicID, code wire.Code) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.ErrorCode, t.Topic, t.TopicID = int16(code), name, id
	if name == nil && m.req.Version < 12 {
		t.Topic = new(string)
	}
	t.IsInternal = name != nil && isInternal(*name)
	t.AuthorizedOperations = operationsNotAsked
	return t
}

// byIDs tells of the ids nobody knows first, as Kafka does.
func (m *metadataAnswer) byIDs() {
	unknown := wire.ErrUnknownTopicID
	if !m.snapshot.whole || len(m.snapshot.unseen) > 0 {
		unknown = wire.ErrLeaderNotAvailable
	}
	known := make([]*metadata.Topic, 0, len(m.req.Topics))
	for _, asked := range m.req.Topics {
		if asked.TopicID == [16]byte{} {
			continue
		}
		if t := m.snapshot.TopicByID(asked.TopicID); t != nil && m.snapshot.Topic(t.Name) != nil {
			known = append(known, t)
		} else {
			m.put(m.failure(nil, asked.TopicID, unknown))
		}
	}
	for _, t := range known {
		if m.h.topicAllowed(m.c.Conn, acl.Describe, t.Name) {
			m.add(t)
		} else {
			m.denied = append(m.denied, m.failure(nil, t.ID, wire.ErrTopicAuthorizationFailed))
		}
	}
}

func (m *metadataAnswer) byName(name string) {
	code := wire.ErrTopicAuthorizationFailed
	if m.h.topicAllowed(m.c.Conn, acl.Describe, name) {
		if t := m.snapshot.Topic(name); t != nil {
			m.add(t)
			return
		}
		code = m.absent(name)
	}
	t := m.failure(&name, meta.TopicID{}, code)
	if code == wire.ErrTopicAuthorizationFailed {
		m.denied = append(m.denied, t)
		return
	}
	t.AuthorizedOperations = m.operations(name)
	m.put(t)
}

// absent says why a topic cannot be told of, after it was made if that is allowed.
func (m *metadataAnswer) absent(name string) wire.Code {
	mayCreate := m.h.Config.Current().Topics.AutoCreateEnable && (m.req.Version < 4 || m.req.AllowAutoTopicCreation)
	switch {
	case m.snapshot.mayHave(name):
		return wire.ErrLeaderNotAvailable
	case !mayCreate && invalidTopicName(name) != "":
		return wire.ErrInvalidTopic
	case !mayCreate:
		return wire.ErrUnknownTopicOrPartition
	case !m.h.clusterAllowed(m.c.Conn, acl.Create) && !m.h.topicAllowed(m.c.Conn, acl.Create, name):
		return wire.ErrTopicAuthorizationFailed
	}
	return m.h.autoCreate(m.c.ctx, name)
}

// operations are what the client may do with a topic, if it asked.
func (m *metadataAnswer) operations(topic string) int32 {
	if m.req.Version < 8 || !m.req.IncludeTopicAuthorizedOperations {
		return operationsNotAsked
	}
	return m.h.operations(m.c.Conn, acl.Topic, topic)
}

// add tells of a topic that exists.
func (m *metadataAnswer) add(t *metadata.Topic) {
	rt := kmsg.NewMetadataResponseTopic()
	rt.Topic, rt.TopicID, rt.IsInternal = &t.Name, t.ID, isInternal(t.Name)
	rt.AuthorizedOperations = m.operations(t.Name)
	rt.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		rt.Partitions[i] = m.partition(p)
	}
	m.put(rt)
}

func (m *metadataAnswer) partition(p *metadata.Partition) kmsg.MetadataResponseTopicPartition {
	rp := kmsg.NewMetadataResponseTopicPartition()
	rp.Partition, rp.Leader, rp.LeaderEpoch = p.ID, int32(p.Leader), int32(p.LeaderEpoch)
	rp.Replicas, rp.ISR, rp.OfflineReplicas = ints(p.Replicas), ints(p.ISR), ints(m.offline(p))
	_, reachable := m.snapshot.Endpoint(p.Leader, m.c.Conn.Listener())
	switch {
	case !m.snapshot.Alive(p.Leader):
		rp.ErrorCode, rp.Leader = int16(wire.ErrLeaderNotAvailable), int32(meta.NoBroker)
	case !reachable && m.req.Version >= 6:
		rp.ErrorCode, rp.Leader = int16(wire.ErrListenerNotFound), int32(meta.NoBroker)
	case !reachable:
		rp.ErrorCode, rp.Leader = int16(wire.ErrLeaderNotAvailable), int32(meta.NoBroker)
	}
	if m.req.Version == 0 {
		m.hideDead(&rp, p)
	}
	return rp
}

// offline are the replicas that cannot serve: on a dead broker, without the client's listener, or in a failed directory.
func (m *metadataAnswer) offline(p *metadata.Partition) []meta.BrokerID {
	var off []meta.BrokerID
	for _, id := range p.Replicas {
		_, reachable := m.snapshot.Endpoint(id, m.c.Conn.Listener())
		if !reachable || slices.Contains(p.Offline, id) {
			off = append(off, id)
		}
	}
	return off
}

// hideDead does for clients of version 0 what they expect: dead brokers are not named at all.
func (m *metadataAnswer) hideDead(rp *kmsg.MetadataResponseTopicPartition, p *metadata.Partition) {
	alive := func(ids []meta.BrokerID) []int32 {
		var out []int32
		for _, id := range ids {
			if _, ok := m.snapshot.Endpoint(id, m.c.Conn.Listener()); ok {
				out = append(out, int32(id))
			}
		}
		return out
	}
	rp.Replicas, rp.ISR = alive(p.Replicas), alive(p.ISR)
	if rp.ErrorCode == 0 && (len(rp.Replicas) < len(p.Replicas) || len(rp.ISR) < len(p.ISR)) {
		rp.ErrorCode = int16(wire.ErrReplicaNotAvailable)
	}
}
