package api

import (
	"strconv"
	"sync"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// The internal topics, where coordinators keep their state.
const (
	offsetsTopic = "__consumer_offsets"
	txnTopic     = "__transaction_state"
	// raftTopic is KRaft's; a topic of that name cannot be made.
	raftTopic = "__cluster_metadata"
)

func isInternal(topic string) bool { return topic == offsetsTopic || topic == txnTopic }

// invalidTopicName says what is wrong with a topic name, "" if nothing (Topic.validate).
func invalidTopicName(name string) string {
	switch {
	case name == "":
		return "the empty string is not allowed"
	case name == "." || name == "..":
		return "'" + name + "' is not allowed"
	case len(name) > 249:
		return "the length of '" + name + "' is longer than the max allowed length 249"
	}
	for i := range len(name) {
		if !legalTopicByte(name[i]) {
			return "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
		}
	}
	return ""
}

func legalTopicByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

func itoa(n int) string { return strconv.Itoa(n) }

// rack returns a broker's rack as responses carry it.
func (h *Handler) rack(id meta.BrokerID) *string {
	b, ok := h.Metadata.Load().Broker(id)
	if !ok || b.Rack == "" {
		return nil
	}
	return &b.Rack
}

func ints(ids []meta.BrokerID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

func brokerIDs(ids []int32) []meta.BrokerID {
	out := make([]meta.BrokerID, len(ids))
	for i, id := range ids {
		out[i] = meta.BrokerID(id)
	}
	return out
}

// topicSet is a set of topic names that several requests share.
type topicSet struct {
	mu struct {
		sync.Mutex
		names map[string]struct{}
	}
}

func (s *topicSet) init() { s.mu.names = make(map[string]struct{}) }

// take puts name in and reports whether it was absent.
func (s *topicSet) take(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.mu.names[name]; there {
		return false
	}
	s.mu.names[name] = struct{}{}
	return true
}

func (s *topicSet) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.names, name)
}
