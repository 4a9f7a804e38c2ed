package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// newTopic is a topic to be made. Topics are made by writing them to ZooKeeper; the controller's watch does the rest.
type newTopic struct {
	name       string
	partitions int32 // -1: num.partitions
	factor     int16 // -1: default.replication.factor
	// assignment, if not nil, names the replicas; partitions and factor are -1 then.
	assignment map[int32][]meta.BrokerID
	config     map[string]string
	dryRun     bool // check everything, write nothing
}

// created is what a topic got.
type created struct {
	id         meta.TopicID
	partitions int32
	factor     int16
}

func (h *Handler) createTopic(ctx context.Context, t newTopic) (created, error) {
	if bad := invalidTopicName(t.name); bad != "" {
		return created{}, refuse(wire.ErrInvalidTopic, "Topic name is invalid: "+bad)
	}
	if err := h.mayExist(ctx, t.name); err != nil {
		return created{}, err
	}
	assignment, err := h.place(ctx, &t)
	if err != nil {
		return created{}, err
	}
	if err := h.Config.Current().ValidateTopic(nil, t.config); err != nil {
		return created{}, err
	}
	done := created{partitions: int32(len(assignment)), factor: int16(len(assignment[0]))}
	if t.dryRun {
		return done, nil
	}
	a := meta.TopicAssignment{Partitions: make(map[int32]meta.Assignment, len(assignment))}
	if h.Config.Current().Broker.InterBrokerProtocol >= config.V2_8_IV0 {
		a.ID = meta.NewTopicID()
	}
	for p, replicas := range assignment {
		a.Partitions[p] = meta.Assignment{Replicas: replicas}
	}
	if err := h.Znodes().CreateTopic(ctx, t.name, t.config, a); err != nil {
		if errors.Is(err, zkstore.ErrNodeExists) {
			return created{}, refuse(wire.ErrTopicAlreadyExists, fmt.Sprintf("Topic '%s' already exists.", t.name))
		}
		return created{}, err
	}
	done.id = a.ID
	return done, nil
}

// mayExist checks that the name is free, and not too like another: metric names turn dots into underscores.
func (h *Handler) mayExist(ctx context.Context, name string) error {
	exists, err := h.Znodes().TopicExists(ctx, name)
	if err != nil {
		return err
	}
	if exists {
		if h.Controller.TopicDeleting(name) {
			return refuse(wire.ErrTopicAlreadyExists, fmt.Sprintf("Topic '%s' is marked for deletion.", name))
		}
		return refuse(wire.ErrTopicAlreadyExists, fmt.Sprintf("Topic '%s' already exists.", name))
	}
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	names, err := h.Znodes().TopicNames(ctx)
	if err != nil {
		return err
	}
	same := strings.ReplaceAll(name, ".", "_")
	for _, other := range names {
		if strings.ReplaceAll(other, ".", "_") == same {
			return refuse(wire.ErrInvalidTopic, fmt.Sprintf("Topic '%s' collides with existing topics: %s", name, other))
		}
	}
	return nil
}

// place settles where the replicas go.
func (h *Handler) place(ctx context.Context, t *newTopic) (map[int32][]meta.BrokerID, error) {
	if t.assignment != nil {
		return t.assignment, checkAssignment(t.assignment)
	}
	cfg := h.Config.Current()
	partitions, factor := t.partitions, int(t.factor)
	if partitions == -1 {
		partitions = cfg.Topics.NumPartitions
	}
	if factor == -1 {
		factor = int(cfg.Topics.DefaultReplicationFactor)
	}
	brokers, err := h.candidates(ctx)
	if err != nil {
		return nil, err
	}
	return spread(controller.NewPlacement(brokers, int(partitions), factor))
}

// spread places replicas over brokers, or says in Kafka's words (AdminUtils.java) why it cannot.
func spread(p controller.Placement) (map[int32][]meta.BrokerID, error) {
	placed, err := controller.Place(p)
	switch {
	case errors.Is(err, controller.ErrPlacePartitions):
		return nil, refuse(wire.ErrInvalidPartitions, "Number of partitions must be larger than 0.")
	case errors.Is(err, controller.ErrPlaceFactor) && p.ReplicationFactor <= 0:
		return nil, refuse(wire.ErrInvalidReplicationFactor, "Replication factor must be larger than 0.")
	case errors.Is(err, controller.ErrPlaceFactor):
		return nil, refuse(wire.ErrInvalidReplicationFactor,
			fmt.Sprintf("Replication factor: %d larger than available brokers: %d.", p.ReplicationFactor, len(p.Brokers)))
	}
	return placed, err
}

// candidates are the brokers that may get replicas. Racks count only if all have one (kafka.admin.RackAwareMode).
func (h *Handler) candidates(ctx context.Context) ([]controller.Candidate, error) {
	live, _, err := h.Znodes().Brokers(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]controller.Candidate, 0, len(live))
	for id, b := range live {
		out = append(out, controller.Candidate{ID: id, Rack: b.Rack})
	}
	slices.SortFunc(out, func(a, b controller.Candidate) int { return int(a.ID) - int(b.ID) })
	if slices.ContainsFunc(out, func(c controller.Candidate) bool { return c.Rack == "" }) {
		for i := range out {
			out[i].Rack = ""
		}
	}
	return out, nil
}

// checkAssignment judges a manual assignment as Kafka does: whether the brokers exist is nobody's concern here.
func checkAssignment(assignment map[int32][]meta.BrokerID) error {
	for p := range int32(len(assignment)) {
		replicas, ok := assignment[p]
		if !ok {
			return refuse(wire.ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if len(replicas) != len(assignment[0]) {
			return refuse(wire.ErrInvalidReplicaAssignment, "All partitions should have the same number of replicas")
		}
		for i, id := range replicas {
			if slices.Contains(replicas[:i], id) {
				return refuse(wire.ErrInvalidReplicaAssignment, fmt.Sprintf("Duplicate replica assignment found: partition %d, broker %d", p, id))
			}
		}
	}
	return nil
}

// autoCreate makes a topic that somebody asked metadata of, and returns what to answer meanwhile.
func (h *Handler) autoCreate(ctx context.Context, name string) wire.Code {
	if invalidTopicName(name) != "" {
		return wire.ErrInvalidTopic
	}
	if !h.creating.take(name) {
		return wire.ErrUnknownTopicOrPartition // another request is at it
	}
	defer h.creating.release(name)
	t := h.autoTopic(name)
	_, err := h.createTopic(ctx, t)
	code := h.code(err)
	switch code {
	case wire.None:
		h.Logger.Info("created a topic because a client asked for it", zap.String("topic", name))
		return wire.ErrLeaderNotAvailable
	case wire.ErrTopicAlreadyExists:
		return wire.ErrLeaderNotAvailable // made by somebody else, and on its way here
	}
	return code
}

// await waits until done says so of the picture of the fleet, or the timeout has passed, and returns what done said last.
func (h *Handler) await(ctx context.Context, timeout time.Duration, done func(*metadata.Snapshot) bool) bool {
	s := h.Metadata.Load()
	if done(s) {
		return true
	}
	if timeout <= 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		select {
		case <-s.Superseded():
		case <-ctx.Done():
			return done(h.Metadata.Load())
		}
		if s = h.Metadata.Load(); done(s) {
			return true
		}
	}
}

// await is [Handler.await], noting how long it took.
func (c *call) await(h *Handler, timeout time.Duration, done func(*metadata.Snapshot) bool) bool {
	began := time.Now()
	defer func() { c.Waited += time.Since(began) }()
	return h.await(c.ctx, timeout, done)
}

// autoTopic is how a topic is made that nobody described.
func (h *Handler) autoTopic(name string) newTopic {
	cfg := h.Config.Current()
	t := newTopic{name: name, partitions: -1, factor: -1}
	switch name {
	case offsetsTopic:
		t.partitions, t.factor = cfg.Offsets.TopicPartitions, cfg.Offsets.TopicReplicationFactor
		t.config = map[string]string{"cleanup.policy": "compact", "compression.type": "producer", "segment.bytes": itoa(int(cfg.Offsets.TopicSegmentBytes))}
	case txnTopic:
		t.partitions, t.factor = cfg.Txn.TopicPartitions, cfg.Txn.TopicReplicationFactor
		t.config = map[string]string{"cleanup.policy": "compact", "compression.type": "uncompressed",
			"unclean.leader.election.enable": "false", "min.insync.replicas": itoa(int(cfg.Txn.TopicMinISR)), "segment.bytes": itoa(int(cfg.Txn.TopicSegmentBytes))}
	}
	return t
}

// CreateInternalTopic makes an internal topic for the coordinators, if somebody else is not at it.
func (h *Handler) CreateInternalTopic(ctx context.Context, name string) error {
	return h.autoCreate(ctx, name).Err()
}

// InternalTopic is the request that has the controller make an internal topic.
func (h *Handler) InternalTopic(name string) *kmsg.CreateTopicsRequest {
	t := h.autoTopic(name)
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, t.partitions, t.factor
	for _, key := range slices.Sorted(maps.Keys(t.config)) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = key, new(string)
		*rc.Value = t.config[key]
		rt.Configs = append(rt.Configs, rc)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, rt), int32(h.Config.Current().Broker.RequestTimeout.Milliseconds())
	return req
}
