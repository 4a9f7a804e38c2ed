package zkstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Config reads the overrides of one entity; empty when it has none.
func (z *Store) Config(ctx context.Context, e meta.Entity) (map[string]string, error) {
	n, err := z.s.get(ctx, ConfigPath(e))
	if errors.Is(err, ErrNoNode) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	return configOf(e, n)
}

func configOf(e meta.Entity, n znode) (map[string]string, error) {
	config, err := decodeConfig(n.data)
	return config, unreadable(ConfigPath(e), err)
}

// Configs reads the overrides of many entities at once. Entities without a znode are in neither map; unreadable ones are in broken.
func (z *Store) Configs(ctx context.Context, es []meta.Entity) (configs map[meta.Entity]map[string]string, broken map[meta.Entity]error, err error) {
	return collect(ctx, z.s, es, ConfigPath, configOf)
}

// ConfigEntities lists the entities of one type that have a znode; for users also the user and client pairs.
func (z *Store) ConfigEntities(ctx context.Context, t meta.EntityType) ([]meta.Entity, error) {
	names, err := z.s.children(ctx, configPath+"/"+string(t))
	if errors.Is(err, ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	es := make([]meta.Entity, 0, len(names))
	for _, name := range names {
		es = append(es, meta.Entity{Type: t, Name: name})
	}
	if t == meta.UserEntity {
		var mu sync.Mutex
		err = z.s.pipeline(ctx, len(names), func(ctx context.Context, i int) error {
			parent := meta.Entity{Type: t, Name: names[i] + "/" + meta.ClientsSegment}
			clients, err := z.s.children(ctx, ConfigPath(parent))
			if err != nil && !errors.Is(err, ErrNoNode) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range clients {
				es = append(es, meta.Entity{Type: t, Name: parent.Name + "/" + c})
			}
			return nil
		})
	}
	slices.SortFunc(es, func(a, b meta.Entity) int { return strings.Compare(a.Name, b.Name) })
	return es, err
}

// SetConfig replaces the overrides of an entity and publishes the change. An emptied client, user or ip entity is
// removed. [ErrNoController] while there is no controller, [ErrMigrating] under a KRaft one.
func (z *Store) SetConfig(ctx context.Context, e meta.Entity, config map[string]string) error {
	return z.setConfig(ctx, e, config, z.writeConfig)
}

// SetConfigOffline is [Store.SetConfig] for what operators store before the first broker has started: while there is no
// controller, nothing guards the write. (Kafka's ConfigCommand with --zookeeper is never guarded.)
func (z *Store) SetConfigOffline(ctx context.Context, e meta.Entity, config map[string]string) error {
	return z.setConfig(ctx, e, config, func(ctx context.Context, e meta.Entity, config map[string]string) error {
		err := z.writeConfig(ctx, e, config)
		if errors.Is(err, ErrNoController) {
			err = z.writeConfigUnguarded(ctx, e, config)
		}
		return err
	})
}

type configWriter func(ctx context.Context, e meta.Entity, config map[string]string) error

func (z *Store) setConfig(ctx context.Context, e meta.Entity, config map[string]string, write configWriter) error {
	removed := false
	if len(config) == 0 && (e.Type == meta.ClientEntity || e.Type == meta.UserEntity || e.Type == meta.IPEntity) {
		var err error
		if removed, err = z.removeConfig(ctx, e); err != nil {
			return err
		}
	}
	if !removed {
		if err := write(ctx, e, config); err != nil {
			return err
		}
	}
	// The queue may have been removed by hand; Kafka, too, recreates it each time.
	if err := z.s.ensure(ctx, configChangesPath); err != nil {
		return err
	}
	return z.s.createSequential(ctx, configChangesPath+"/"+configChangePrefix, encodeConfigChange(e))
}

// writeConfig replaces the overrides of an entity. It is guarded as Kafka's is: there must be a controller, not a
// KRaft one, and the same one while writing; which is not a fence, because the version of /controller is always 0.
func (z *Store) writeConfig(ctx context.Context, e meta.Entity, config map[string]string) error {
	at, data := ConfigPath(e), encodeConfig(config)
	for {
		controller, stat, err := z.controller(ctx)
		if errors.Is(err, ErrNoNode) {
			return failed("write", at, ErrNoController)
		}
		if err != nil {
			return err
		}
		if controller.KRaftEpoch > 0 {
			return failed("write", at, ErrMigrating)
		}
		guard := Fence{path: controllerPath, version: stat.Version}
		_, _, err = z.s.guarded(ctx, guard, z.s.setRequest(at, data, anyVersion))
		switch {
		case err == nil:
			return nil
		case err == ErrNoNode: // the entity's; had the controller's gone, the error would name it
			err = z.s.createDeep(ctx, at, data)
			if err == nil || !errors.Is(err, ErrNodeExists) {
				return err
			}
		case errors.Is(err, ErrFenced), errors.Is(err, ErrNoNode): // the controller changed: look again who it is
		default:
			return failed("write", at, err)
		}
	}
}

func (z *Store) writeConfigUnguarded(ctx context.Context, e meta.Entity, config map[string]string) error {
	at, data := ConfigPath(e), encodeConfig(config)
	for {
		_, err := z.s.set(ctx, at, data, anyVersion)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		if err := z.s.createDeep(ctx, at, data); !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// removeConfig removes the znode of an emptied entity, and of its user when that is left without anything. It leaves
// alone what has something below.
func (z *Store) removeConfig(ctx context.Context, e meta.Entity) (removed bool, err error) {
	err = z.s.delete(ctx, ConfigPath(e), anyVersion)
	if errors.Is(err, ErrNotEmpty) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	user, _, paired := strings.Cut(e.Name, "/"+meta.ClientsSegment+"/")
	if e.Type != meta.UserEntity || !paired {
		return true, nil
	}
	owner := meta.Entity{Type: meta.UserEntity, Name: user}
	err = z.s.delete(ctx, ConfigPath(owner)+"/"+meta.ClientsSegment, anyVersion)
	if err == nil {
		var config map[string]string
		if config, err = z.Config(ctx, owner); err == nil && len(config) == 0 {
			err = z.s.delete(ctx, ConfigPath(owner), anyVersion)
		}
	}
	if errors.Is(err, ErrNotEmpty) {
		err = nil
	}
	return true, err
}

// encodeConfig writes {"version":1,"config":{"retention.ms":"86400000"}}.
func encodeConfig(config map[string]string) []byte {
	b := appendStringMap([]byte(`{"version":1,"config":`), config)
	return append(b, '}')
}

// decodeConfig takes null data, no bytes and a missing config for no overrides.
func decodeConfig(data []byte) (map[string]string, error) {
	if len(data) == 0 {
		return map[string]string{}, nil
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	return optional(o, "config", asStringMap, map[string]string{})
}
