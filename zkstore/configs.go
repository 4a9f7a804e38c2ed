package zkstore

import (
	"context"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Config reads the overrides of one entity; empty when it has none.
func (z *Store) Config(ctx context.Context, e meta.Entity) (map[string]string, error) {
	return nil, errPending
}

// Configs reads the overrides of many entities at once. Entities without a znode are in neither map; unreadable ones are in broken.
func (z *Store) Configs(ctx context.Context, es []meta.Entity) (configs map[meta.Entity]map[string]string, broken map[meta.Entity]error, err error) {
	return nil, nil, errPending
}

// ConfigEntities lists the entities of one type that have a znode; for users also the user and client pairs.
func (z *Store) ConfigEntities(ctx context.Context, t meta.EntityType) ([]meta.Entity, error) {
	return nil, errPending
}

// SetConfig replaces the overrides of an entity and publishes the change. An emptied client, user or ip entity is
// removed. [ErrNoController] while there is no controller, [ErrMigrating] under a KRaft one.
func (z *Store) SetConfig(ctx context.Context, e meta.Entity, config map[string]string) error {
	return errPending
}
