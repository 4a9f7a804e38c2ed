package zkstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

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
func (z *Store) Feature(ctx context.Context) (Feature, error) {
	n, err := z.s.get(ctx, featurePath)
	if err != nil {
		return Feature{}, err
	}
	f, err := decodeFeature(n.data)
	f.Epoch = n.stat.Version
	return f, unreadable(featurePath, err)
}

// SetFeature writes /feature, creating it if need be, and returns its new epoch.
func (z *Store) SetFeature(ctx context.Context, f Feature) (epoch int32, err error) {
	data := encodeFeature(f)
	for {
		exists, err := z.s.exists(ctx, featurePath)
		if err != nil {
			return 0, err
		}
		if exists {
			epoch, err = z.s.set(ctx, featurePath, data, anyVersion)
		} else {
			epoch, err = 0, z.s.create(ctx, featurePath, data)
		}
		if !errors.Is(err, ErrNoNode) && !errors.Is(err, ErrNodeExists) { // somebody else was faster
			return epoch, err
		}
	}
}

// WatchFeature tells of changes of /feature; [Store.Feature] re-arms it.
func (z *Store) WatchFeature() *Watch {
	return z.s.watches.subscribe(watchKey{featurePath, dataWatch}, false)
}

// encodeFeature writes {"features":{"f":{"max_version_level":3}},"version":2,"status":1}; version 1 has min_version_level too.
func encodeFeature(f Feature) []byte {
	b := []byte(`{"features":{`)
	for i, name := range slices.Sorted(maps.Keys(f.Levels)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ":{"...)
		if f.Version == 1 {
			b = append(b, `"min_version_level":`...)
			b = append(appendInt(b, f.Levels[name].Min), ',')
		}
		b = append(b, `"max_version_level":`...)
		b = append(appendInt(b, f.Levels[name].Max), '}')
	}
	b = append(b, `},"version":`...)
	b = appendInt(b, f.Version)
	if f.Enabled {
		return append(b, `,"status":1}`...)
	}
	return append(b, `,"status":0}`...)
}

func decodeFeature(data []byte) (f Feature, err error) {
	o, err := parseObject(data)
	if err != nil {
		return f, err
	}
	if f.Version, err = mandatory(o, "version", asInt[int](32)); err != nil {
		return f, err
	}
	if f.Version < 1 || f.Version > 2 {
		return f, fmt.Errorf("version %d", f.Version)
	}
	status, err := mandatory(o, "status", asInt[int](32))
	if err != nil {
		return f, err
	}
	if status != 0 && status != 1 {
		return f, fmt.Errorf("status %d", status)
	}
	f.Enabled = status == 1
	features, err := mandatory(o, "features", asObject)
	if err != nil {
		return f, err
	}
	f.Levels = make(map[string]FeatureLevels, len(features))
	for name := range features {
		if f.Levels[name], err = decodeLevels(features, name, f.Version); err != nil {
			return f, err
		}
	}
	return f, nil
}

func decodeLevels(features object, name string, version int) (l FeatureLevels, err error) {
	o, err := mandatory(features, name, asObject)
	if err != nil {
		return l, err
	}
	if version == 1 {
		if l.Min, err = mandatory(o, "min_version_level", asInt[int16](16)); err != nil {
			return l, err
		}
	}
	if l.Max, err = mandatory(o, "max_version_level", asInt[int16](16)); err != nil {
		return l, err
	}
	if l.Max < 1 || version == 1 && l.Min < 1 {
		return l, fmt.Errorf("levels of %.100q are below 1", name)
	}
	return l, nil
}
