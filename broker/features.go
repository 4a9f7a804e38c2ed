package broker

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
)

// featureEpoch follows /feature (KIP-584), of which ApiVersions tells clients the epoch. There are no features in ZooKeeper mode, so
// that is all there is to know of it.
type featureEpoch struct {
	log   *zap.Logger
	known atomic.Int64 // noFeatures: there is none, or it is not enabled
}

const noFeatures = -1

func newFeatureEpoch(log *zap.Logger) *featureEpoch {
	f := &featureEpoch{log: log}
	f.known.Store(noFeatures)
	return f
}

// run follows the znode in one session, until ctx or the session ends.
func (f *featureEpoch) run(ctx context.Context, z *zkstore.Store) {
	w := z.WatchFeature()
	defer w.Stop()
	for {
		feature, err := z.Feature(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, zkstore.ErrExpired) || errors.Is(err, zkstore.ErrClosed):
			return
		case err != nil || !feature.Enabled:
			f.known.Store(noFeatures)
			if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
				f.log.Error("/feature cannot be read and counts as absent", zap.Error(err))
			}
		default:
			f.known.Store(int64(feature.Epoch))
			if len(feature.Levels) > 0 {
				f.log.Error("/feature demands features that no broker in ZooKeeper mode has", zap.Any("features", feature.Levels))
			}
		}
		select {
		case <-w.C:
		case <-ctx.Done():
			return
		}
	}
}
