package zkstore

import (
	"context"
)

// EnsurePersistentPaths creates, in Kafka's order, the top-level znodes every broker expects.
func (z *Store) EnsurePersistentPaths(ctx context.Context) error { return errPending }

// ClusterID returns the cluster's id, choosing one when this is the first broker.
func (z *Store) ClusterID(ctx context.Context) (string, error) { return "", errPending }

// Feature is the content of /feature. In ZooKeeper mode no broker supports a feature, so Levels is empty.
type Feature struct {
	Version int  // of the format: 2, or 1 below inter.broker.protocol.version 3.3
	Enabled bool // status
	Levels  map[string]FeatureLevels
	Epoch   int32 // version of the znode: FinalizedFeaturesEpoch
}

// FeatureLevels is the finalized range of one feature. Min is written by version 1 only.
type FeatureLevels struct{ Min, Max int16 }

// Feature reads /feature; [ErrNoNode] when it is missing.
func (z *Store) Feature(ctx context.Context) (Feature, error) { return Feature{}, errPending }

// SetFeature writes /feature, creating it if need be, and returns its new epoch.
func (z *Store) SetFeature(ctx context.Context, f Feature) (epoch int32, err error) {
	return 0, errPending
}

// WatchFeature tells of changes of /feature; [Store.Feature] re-arms it.
func (z *Store) WatchFeature() *Watch { return nil }

// Migration is the content of /migration: how far a KRaft controller has taken this cluster over.
type Migration struct {
	KRaftControllerID    int32
	KRaftControllerEpoch int32
	KRaftMetadataOffset  int64
	KRaftMetadataEpoch   int32
}

// MigrationState reads /migration; [ErrNoNode] when no migration was ever begun.
func (z *Store) MigrationState(ctx context.Context) (Migration, error) {
	return Migration{}, errPending
}
