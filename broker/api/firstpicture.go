package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const (
	// firstWord is how long a request waits for what a freshly started broker has not heard yet.
	firstWord = 5 * time.Second
	// firstPictureGrace is how long after the controller's first word a topic that exists may be missing in what it says. Later
	// it is one that the controller cannot tell of: it has no leader yet, or its znode is broken.
	firstPictureGrace = 15 * time.Second
	// firstPictureLook is how often ZooKeeper is asked meanwhile which topics there are.
	firstPictureLook = 250 * time.Millisecond
)

// firstPicture settles what a freshly started broker may say. A controller tells a broker first who is alive, and of topics
// later, perhaps in several requests, some partitions of a topic before others: until then what exists would be denied, and
// clients would drop what they hold for it. So at first what is missing is looked for in ZooKeeper.
type firstPicture struct {
	settled atomic.Bool // nothing is missing any more

	mu struct {
		sync.Mutex
		word   time.Time // when it was first seen that the controller has spoken
		listed time.Time // when ZooKeeper was last asked
		topics []string
		sizes  map[string]int // the number of partitions, of topics that the controller has told of
		err    error
	}
}

// picture is the fleet as far as this broker has heard.
type picture struct {
	*metadata.Snapshot
	// whole: what is missing does not exist, except the topics in unseen, of which not all partitions are known, or none.
	whole  bool
	unseen map[string]struct{}
}

// Topic returns a topic all of whose partitions are known.
func (p *picture) Topic(name string) *metadata.Topic {
	if _, unseen := p.unseen[name]; unseen {
		return nil
	}
	return p.Snapshot.Topic(name)
}

// mayHave reports whether a topic exists, or may exist, of which not everything is known.
func (p *picture) mayHave(topic string) bool {
	_, unseen := p.unseen[topic]
	return !p.whole || unseen
}

// informed returns the picture of the fleet, having waited a bounded time for the first one. asked are the topics that are
// of interest; nil: all.
func (h *Handler) informed(ctx context.Context, asked []string) *picture {
	if h.first.settled.Load() {
		return &picture{Snapshot: h.Metadata.Load(), whole: true}
	}
	ctx, cancel := context.WithTimeout(ctx, firstWord)
	defer cancel()
	look := time.NewTicker(firstPictureLook)
	defer look.Stop()
	for {
		p := h.lookAtPicture(ctx)
		if p.whole && (len(p.unseen) == 0 || !p.lacks(asked)) {
			return p
		}
		select {
		case <-p.Superseded():
		case <-look.C:
		case <-ctx.Done():
			p.Snapshot = h.Metadata.Load()
			return p
		}
	}
}

// lacks reports whether one of the topics exists and was not told of; nil stands for all.
func (p *picture) lacks(asked []string) bool {
	if asked == nil {
		return len(p.unseen) > 0
	}
	for _, name := range asked {
		if _, unseen := p.unseen[name]; unseen {
			return true
		}
	}
	return false
}

func (h *Handler) lookAtPicture(ctx context.Context) *picture {
	f := &h.first
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &picture{Snapshot: h.Metadata.Load()}
	if len(p.Brokers()) == 0 {
		return p
	}
	now := time.Now()
	if f.mu.word.IsZero() {
		f.mu.word = now
	}
	if f.mu.listed.IsZero() || f.mu.err != nil || now.Sub(f.mu.listed) >= firstPictureLook {
		f.mu.topics, f.mu.err = h.Znodes().TopicNames(ctx)
		f.mu.listed = now
		p.Snapshot = h.Metadata.Load() // not older than the list
	}
	h.sizeUpLocked(ctx, p.Snapshot)
	p.unseen = make(map[string]struct{})
	for _, name := range f.mu.topics {
		size, known := f.mu.sizes[name]
		if t := p.Snapshot.Topic(name); t == nil || !known || len(t.Partitions) < size {
			p.unseen[name] = struct{}{}
		}
	}
	p.whole = f.mu.err == nil
	switch {
	case p.whole && len(p.unseen) == 0:
		f.settled.Store(true)
	case now.Sub(f.mu.word) > firstPictureGrace:
		f.settled.Store(true)
		h.Logger.Warn("the controller does not tell of all topics", zap.Int("missing", len(p.unseen)), zap.Error(f.mu.err))
		p.whole, p.unseen = true, nil
	}
	return p
}

// sizeUpLocked looks how many partitions the topics have that were told of; first.mu is held.
func (h *Handler) sizeUpLocked(ctx context.Context, s *metadata.Snapshot) {
	f := &h.first
	var unread []string
	for _, name := range f.mu.topics {
		if _, known := f.mu.sizes[name]; !known && s.Topic(name) != nil {
			unread = append(unread, name)
		}
	}
	if len(unread) == 0 || f.mu.err != nil {
		return
	}
	var topics map[string]meta.TopicAssignment
	if topics, _, f.mu.err = h.Znodes().Topics(ctx, unread); f.mu.err != nil {
		return
	}
	if f.mu.sizes == nil {
		f.mu.sizes = make(map[string]int)
	}
	for _, name := range unread {
		f.mu.sizes[name] = len(topics[name].Partitions) // of one that cannot be read nobody knows more
	}
}

// unknownLook bounds the look into ZooKeeper for a request that has other things to do.
const unknownLook = time.Second

// unknownTopic is the answer to who wants to write to or read from a topic, or a partition, that this broker has not heard of:
// denied, unless it may exist. Then the truth is that this broker does not lead it, as far as it knows. Clients look for the leader then, and go on;
// while a topic that is denied a few times is given up, and what is buffered for it with it.
func (h *Handler) unknownTopic(ctx context.Context, topic string) wire.Code {
	return h.unknownPartition(ctx, topic, -1)
}

func (h *Handler) unknownPartition(ctx context.Context, topic string, partition int32) wire.Code {
	return h.orNotLeader(ctx, wire.ErrUnknownTopicOrPartition, func(p *picture) bool {
		t := p.Topic(topic)
		return p.mayHave(topic) || t != nil && (partition < 0 || t.Partition(partition) != nil)
	})
}

// unknownTopicID is the same for topics that are named by their id.
func (h *Handler) unknownTopicID(ctx context.Context) wire.Code {
	return h.orNotLeader(ctx, wire.ErrUnknownTopicID, func(p *picture) bool { return !p.whole || len(p.unseen) > 0 })
}

func (h *Handler) orNotLeader(ctx context.Context, denied wire.Code, mayExist func(*picture) bool) wire.Code {
	if h.first.settled.Load() {
		return denied
	}
	ctx, cancel := context.WithTimeout(ctx, unknownLook)
	defer cancel()
	if mayExist(h.lookAtPicture(ctx)) {
		return wire.ErrNotLeaderOrFollower
	}
	return denied
}

// partitionCode is the code for what happened to a request's partition.
func (h *Handler) partitionCode(ctx context.Context, tp meta.TopicPartition, err error) wire.Code {
	code := h.code(err)
	if code == wire.ErrUnknownTopicOrPartition {
		code = h.unknownPartition(ctx, tp.Topic, tp.Partition)
	}
	return code
}

// acquainted returns the picture of the fleet once it names brokers, having waited a bounded time for that.
func (h *Handler) acquainted(ctx context.Context) *metadata.Snapshot {
	h.await(ctx, firstWord, func(s *metadata.Snapshot) bool { return len(s.Brokers()) > 0 })
	return h.Metadata.Load()
}
