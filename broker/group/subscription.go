package group

import (
	"encoding/binary"
	"errors"
	"slices"
)

// consumerType is the protocol type of consumers; only of those is more known than bytes.
const consumerType = "consumer"

// subscription is the topics a group's members want together.
type subscription struct {
	topics map[string]bool
	known  bool
}

// reconsider reads the members' metadata for the chosen protocol. Where one cannot be read the group's topics are unknown, and every
// topic counts as wanted (GroupMetadata.computeSubscribedTopics).
func (g *Group) reconsider() {
	g.subscription = subscription{}
	if g.protocolType != consumerType || len(g.members) > 0 && g.protocol == nil {
		return
	}
	topics := map[string]bool{}
	for _, m := range g.members {
		err := eachTopic(m.metadata(*g.protocol), func(topic []byte) {
			if !topics[string(topic)] { // does not allocate: thousands of members may name the same thousands of topics
				topics[string(topic)] = true
			}
		})
		if err != nil {
			return
		}
	}
	g.subscription = subscription{topics: topics, known: true}
}

// wants reports whether some member subscribes to the topic, as far as is known.
func (g *Group) wants(topic string) bool {
	return !g.subscription.known || g.subscription.topics[topic]
}

var errShort = errors.New("member metadata is shorter than it says")

// eachTopic reads the topics of a ConsumerProtocolSubscription, whose versions all begin alike: version, topics. What follows is left
// alone, and so is the version.
func eachTopic(metadata []byte, visit func(topic []byte)) error {
	r := embedded{metadata}
	r.int16()
	count := r.int32()
	if r.b == nil || count < 0 || int64(count)*2 > int64(len(r.b)) {
		return errShort
	}
	for range count {
		visit(r.bytes())
	}
	if r.b == nil {
		return errShort
	}
	return nil
}

func subscribedTopics(metadata []byte) ([]string, error) {
	var topics []string
	err := eachTopic(metadata, func(topic []byte) { topics = append(topics, string(topic)) })
	if err != nil {
		return nil, err
	}
	return topics, nil
}

// sameTopics reports whether two offers subscribe to the same topics, as far as can be read.
func sameTopics(a, b []Protocol) bool {
	return slices.Equal(names(a), names(b)) && slices.EqualFunc(a, b, func(a, b Protocol) bool {
		was, err := subscribedTopics(a.Metadata)
		if err != nil {
			return false
		}
		wanted, err := subscribedTopics(b.Metadata)
		slices.Sort(was)
		slices.Sort(wanted)
		return err == nil && slices.Equal(was, wanted)
	})
}

// assignedPartitions reads a ConsumerProtocolAssignment, whose versions all begin alike: version, partitions by topic.
func assignedPartitions(assignment []byte) (map[string][]int32, error) {
	if len(assignment) == 0 {
		return nil, nil
	}
	r := embedded{assignment}
	r.int16()
	topics := r.int32()
	if r.b == nil || topics < 0 || int64(topics)*6 > int64(len(r.b)) {
		return nil, errShort
	}
	owned := map[string][]int32{}
	for range topics {
		topic, count := r.string(), r.int32()
		if r.b == nil || count < 0 || int64(count)*4 > int64(len(r.b)) {
			return nil, errShort
		}
		for range count {
			owned[topic] = append(owned[topic], r.int32())
		}
	}
	return owned, nil
}

// embedded reads the consumers' own protocol, never flexible. After the end b is nil and all that is read is zero.
type embedded struct{ b []byte }

func (r *embedded) take(n int) []byte {
	if n < 0 || r.b == nil || n > len(r.b) {
		r.b = nil
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *embedded) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *embedded) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *embedded) bytes() []byte { return r.take(int(r.int16())) }

func (r *embedded) string() string { return string(r.bytes()) }
