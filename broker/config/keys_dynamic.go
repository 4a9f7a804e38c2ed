package config

import "math"

// keysDynamic: broker configs that exist only in ZooKeeper. The file is not read for them (QuotaConfigs.java).
func keysDynamic() []Key {
	return []Key{
		{Name: "leader.replication.throttled.rate", Type: Long, Default: int64(math.MaxInt64), valid: atLeast(0), Scope: ClusterWide, Status: Full, Importance: Medium,
			Doc: "Bytes per second a leader may send for throttled replicas."},
		{Name: "follower.replication.throttled.rate", Type: Long, Default: int64(math.MaxInt64), valid: atLeast(0), Scope: ClusterWide, Status: Full, Importance: Medium,
			Doc: "Bytes per second a follower may fetch for throttled replicas."},
		{Name: "replica.alter.log.dirs.io.max.bytes.per.second", Type: Long, Default: int64(math.MaxInt64), valid: atLeast(0), Scope: ClusterWide, Status: Full, Importance: Medium,
			Doc: "Bytes per second moves between directories may copy."},
	}
}
