package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
)

// DeleteTopics, versions 0 to 6, for the controller.
//
//	1 throttle time
//	4 flexible
//	5 error messages, THROTTLING_QUOTA_EXCEEDED (KIP-599)
//	6 topic ids (KIP-516)

func deleteTopics(h *Handler, c *call, req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse) error {
	targets := req.Topics
	if req.Version < 6 {
		targets = make([]kmsg.DeleteTopicsRequestTopic, len(req.TopicNames))
		for i := range req.TopicNames {
			targets[i].Topic = &req.TopicNames[i]
		}
	}
	whole := wire.None
	switch {
	case !h.Controller.IsActive():
		whole = wire.ErrNotController
	case !h.Config.Current().Topics.DeleteEnable && req.Version < 3:
		whole = wire.ErrInvalidRequest
	case !h.Config.Current().Topics.DeleteEnable:
		whole = wire.ErrTopicDeletionDisabled
	}
	for _, t := range targets {
		if t.Topic != nil && t.TopicID != [16]byte{} {
			whole = wire.ErrInvalidRequest
		}
	}
	var waiting []int
	for _, t := range targets {
		rt := kmsg.NewDeleteTopicsResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		err := whole.Err()
		if err == nil {
			err = h.deleteTopic(c, &t, &rt)
		}
		if err != nil {
			rt.ErrorCode = int16(h.code(err)) // Kafka sends no messages here
		} else {
			waiting = append(waiting, len(resp.Topics))
		}
		resp.Topics = append(resp.Topics, rt)
	}
	h.awaitDeleted(c, req, resp, waiting)
	return nil
}

// deleteTopic asks for one topic's deletion. It never tells somebody who may not see a topic that it exists.
func (h *Handler) deleteTopic(c *call, t *kmsg.DeleteTopicsRequestTopic, rt *kmsg.DeleteTopicsResponseTopic) error {
	snapshot := h.Metadata.Load()
	if t.Topic == nil {
		if t.TopicID == [16]byte{} {
			return wire.ErrTopicAuthorizationFailed
		}
		known := snapshot.TopicByID(t.TopicID)
		switch {
		case known == nil:
			return wire.ErrUnknownTopicID
		case !h.topicAllowed(c.Conn, acl.Describe, known.Name):
			return wire.ErrTopicAuthorizationFailed
		}
		rt.Topic = &known.Name
	}
	name := *rt.Topic
	if !h.topicAllowed(c.Conn, acl.Delete, name) {
		return wire.ErrTopicAuthorizationFailed
	}
	if snapshot.Topic(name) == nil {
		return wire.ErrUnknownTopicOrPartition
	}
	if err := h.Znodes().MarkTopicForDeletion(c.ctx, name); err != nil {
		return err
	}
	h.Logger.Info("topic marked for deletion", zap.String("topic", name), c.by())
	return nil
}

// awaitDeleted waits until the topics have left this broker's picture of the fleet.
func (h *Handler) awaitDeleted(c *call, req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse, waiting []int) {
	if len(waiting) == 0 {
		return
	}
	gone := func(s *metadata.Snapshot, i int) bool { return s.Topic(*resp.Topics[i].Topic) == nil }
	timeout := time.Duration(req.TimeoutMillis) * time.Millisecond
	c.await(h, timeout, func(s *metadata.Snapshot) bool {
		for _, i := range waiting {
			if !gone(s, i) {
				return false
			}
		}
		return true
	})
	s := h.Metadata.Load()
	for _, i := range waiting {
		if timeout <= 0 || !gone(s, i) {
			resp.Topics[i].ErrorCode = int16(wire.ErrRequestTimedOut)
			continue
		}
		h.awaitNameFree(c.ctx, *resp.Topics[i].Topic)
	}
}

const (
	nameFreeTimeout = time.Second
	nameFreeCheck   = 5 * time.Millisecond
)

// awaitNameFree gives the controller a moment to remove the last traces of a topic, so that who deletes a topic and makes it anew
// at once is not told that it exists, as Kafka does. If a replica is away this takes for ever, and is not waited for.
func (h *Handler) awaitNameFree(ctx context.Context, topic string) {
	ctx, cancel := context.WithTimeout(ctx, nameFreeTimeout)
	defer cancel()
	tick := time.NewTicker(nameFreeCheck)
	defer tick.Stop()
	for h.Controller.TopicDeleting(topic) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
