package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
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
// later, perhaps in several requests: until then topics that exist would be denied, and clients would drop what they hold for
// them. So at first what is missing is looked for in ZooKeeper.
type firstPicture struct {
	settled atomic.Bool // nothing is missing any more

	mu struct {
		sync.Mutex
		word   time.Time // when it was first seen that the controller has spoken
		listed time.Time // when ZooKeeper was last asked
		topics []string
		err    error
	}
}

// picture is the fleet as far as this broker has heard.
type picture struct {
	*metadata.Snapshot
	// whole: what is missing does not exist, except what is in unseen.
	whole  bool
	unseen map[string]struct{}
}

// mayHave reports whether a topic exists, or may exist.
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
	p.unseen = make(map[string]struct{})
	for _, name := range f.mu.topics {
		if p.Topic(name) == nil {
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

// unknownLook bounds the look into ZooKeeper for a request that has other things to do.
const unknownLook = time.Second

// unknownTopic is the answer to who wants to write to or read from a topic that this broker has not heard of: denied, unless the topic may
// exist. Then the truth is that this broker does not lead it, as far as it knows. Clients look for the leader then, and go on;
// while a topic that is denied a few times is given up, and what is buffered for it with it.
func (h *Handler) unknownTopic(ctx context.Context, topic string) wire.Code {
	return h.orNotLeader(ctx, wire.ErrUnknownTopicOrPartition, func(p *picture) bool { return p.Topic(topic) != nil || p.mayHave(topic) })
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

// acquainted returns the picture of the fleet once it names brokers, having waited a bounded time for that.
func (h *Handler) acquainted(ctx context.Context) *metadata.Snapshot {
	h.await(ctx, firstWord, func(s *metadata.Snapshot) bool { return len(s.Brokers()) > 0 })
	return h.Metadata.Load()
}
