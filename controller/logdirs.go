package controller

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// handle asks brokers that lost a log directory which replicas went with it: told of all its replicas once more, a broker
// answers KAFKA_STORAGE_ERROR for those (see answered).
func (e *logDirEventsPublished) handle(t *term) error {
	events, err := t.store.LogDirEvents(t.ctx)
	if err != nil {
		return harmless{fmt.Errorf("read log directory events: %w", err)}
	}
	broken := make(map[meta.BrokerID]bool)
	for _, e := range events {
		if e.Err != nil {
			t.log.Error("unreadable log directory event", zap.String("znode", e.Node), zap.Error(e.Err))
			continue
		}
		t.log.Info("a broker lost a log directory", zap.Int32("broker", int32(e.Broker)))
		broken[e.Broker] = true
	}
	if len(broken) > 0 {
		asked := t.state.replicas(func(p *partition, id meta.BrokerID) bool {
			return broken[id] && p.replicaState(id).may(replicaOnline)
		})
		if err := t.moveReplicas(asked, replicaOnline); err != nil {
			return err
		}
	}
	return t.deleteLogDirEvents(events)
}

func (t *term) deleteLogDirEvents(events []zkstore.LogDirEvent) error {
	if len(events) == 0 {
		return nil
	}
	nodes := make([]string, len(events))
	for i, e := range events {
		nodes[i] = e.Node
	}
	if err := t.store.DeleteLogDirEvents(t.ctx, t.fence, nodes); err != nil {
		return fmt.Errorf("delete log directory events: %w", err)
	}
	return nil
}
