package api

import (
	"errors"
	"testing"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// kafka-topics shows these words to people, whether a topic is created or grows.
func TestSpreadExplains(t *testing.T) {
	h := handler(t, &scripted{})
	brokers := []controller.Candidate{{ID: 1}, {ID: 2}}
	for _, c := range []struct {
		placement controller.Placement
		code      wire.Code
		message   string
	}{
		{controller.NewPlacement(brokers, 0, 1), wire.ErrInvalidPartitions, "Number of partitions must be larger than 0."},
		{controller.NewPlacement(brokers, 1, 0), wire.ErrInvalidReplicationFactor, "Replication factor must be larger than 0."},
		{controller.NewPlacement(brokers, 1, 3), wire.ErrInvalidReplicationFactor, "Replication factor: 3 larger than available brokers: 2."},
		{controller.GrowthPlacement(brokers, 1, 1, []meta.BrokerID{1, 2, 3}), wire.ErrInvalidReplicationFactor,
			"Replication factor: 3 larger than available brokers: 2."},
	} {
		_, err := spread(c.placement)
		code, message := h.codeAndMessage(err)
		if wire.Code(code) != c.code || message == nil || *message != c.message {
			t.Errorf("%v, want %v: %s", err, c.code, c.message)
		}
	}
	if placed, err := spread(controller.NewPlacement(brokers, 3, 2)); err != nil || len(placed) != 3 {
		t.Errorf("%v, %v", placed, err)
	}
	racked := []controller.Candidate{{ID: 1, Rack: "a"}, {ID: 2}}
	if _, err := spread(controller.NewPlacement(racked, 1, 1)); !errors.Is(err, controller.ErrPlaceRacks) {
		t.Errorf("%v", err)
	}
}
