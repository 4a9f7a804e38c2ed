package zkstore

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
)

// EnsurePersistentPaths creates, in Kafka's order, the top-level znodes every broker expects.
func (z *Store) EnsurePersistentPaths(ctx context.Context) error {
	for _, p := range persistentPaths {
		if err := z.s.ensure(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// ClusterID returns the cluster's id, choosing one when this is the first broker.
func (z *Store) ClusterID(ctx context.Context) (string, error) {
	for {
		n, err := z.s.get(ctx, clusterIDPath)
		if err == nil {
			id, err := decodeClusterID(n.data)
			return id, unreadable(clusterIDPath, err)
		}
		if !errors.Is(err, ErrNoNode) {
			return "", err
		}
		id := newClusterID()
		if err := z.s.createDeep(ctx, clusterIDPath, encodeClusterID(id)); !errors.Is(err, ErrNodeExists) {
			return id, err
		}
	}
}

// newClusterID is a random UUID of version 4 in 22 characters of base64url (Kafka's CoreUtils.generateUuidAsBase64).
func newClusterID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func encodeClusterID(id string) []byte {
	return append(appendString([]byte(`{"version":"1","id":`), id), '}')
}

func decodeClusterID(data []byte) (string, error) {
	o, err := parseObject(data)
	if err != nil {
		return "", err
	}
	id, err := mandatory(o, "id", asString)
	if err == nil && id == "" {
		err = errNoData
	}
	return id, err
}

// Migration is the content of /migration: how far a KRaft controller has taken this cluster over.
type Migration struct {
	KRaftControllerID    int32
	KRaftControllerEpoch int32
	KRaftMetadataOffset  int64
	KRaftMetadataEpoch   int32
}

// MigrationState reads /migration; [ErrNoNode] when no migration was ever begun. The security migration tool leaves the
// znode without data, which is no migration either.
func (z *Store) MigrationState(ctx context.Context) (Migration, error) {
	n, err := z.s.get(ctx, migrationPath)
	if err != nil {
		return Migration{}, err
	}
	if len(n.data) == 0 {
		return Migration{}, failed("read", migrationPath, ErrNoNode)
	}
	m, err := decodeMigration(n.data)
	return m, unreadable(migrationPath, err)
}

func decodeMigration(data []byte) (m Migration, err error) {
	o, err := parseObject(data)
	if err != nil {
		return m, err
	}
	if m.KRaftControllerID, err = mandatory(o, "kraft_controller_id", asInt[int32](32)); err != nil {
		return m, err
	}
	if m.KRaftControllerEpoch, err = mandatory(o, "kraft_controller_epoch", asInt[int32](32)); err != nil {
		return m, err
	}
	if m.KRaftMetadataOffset, err = mandatory(o, "kraft_metadata_offset", asInt[int64](64)); err != nil {
		return m, err
	}
	m.KRaftMetadataEpoch, err = mandatory(o, "kraft_metadata_epoch", asInt[int32](32))
	return m, err
}
