package api

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fullRequest is the type of a LeaderAndIsr that leaves nothing out (AbstractControlRequest.Type).
const fullRequest = 2

// setStraysAside puts the replicas aside that neither the controller, which has just told everything there is for this broker, nor
// ZooKeeper know of. Whatever is not certain stays where it is.
func (h *Handler) setStraysAside(c *call, from replica.Sender, all []replica.Assigned) {
	strays, err := h.Replicas.Strays(from, all)
	if err != nil || len(strays) == 0 {
		return // a request that is refused will be told so
	}
	var names []string
	for _, s := range strays {
		names = append(names, s.Partition.Topic)
	}
	slices.Sort(names)
	topics, broken, err := h.Znodes().Topics(c.ctx, slices.Compact(names))
	if err != nil {
		h.Logger.Warn("there are replicas that the controller did not mention, and ZooKeeper cannot be asked whether they belong here",
			zap.Int("replicas", len(strays)), zap.Error(err))
		return
	}
	for _, s := range strays {
		log := h.Logger.With(zap.String("topic", s.Partition.Topic), zap.Int32("partition", s.Partition.Partition))
		if err := broken[s.Partition.Topic]; err != nil {
			log.Warn("the controller did not mention a replica, and its topic cannot be read", zap.Error(err))
			continue
		}
		var topic *meta.TopicAssignment
		if t, ok := topics[s.Partition.Topic]; ok {
			topic = &t
		}
		belongs, why := h.Replicas.Belongs(s, topic)
		if belongs {
			log.Info("the controller did not mention a replica that belongs here")
			continue
		}
		if err := h.Replicas.SetAside(from, s, why); err != nil {
			log.Error("a replica that does not belong here could not be set aside", zap.Error(err))
		}
	}
}
