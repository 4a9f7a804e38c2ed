package config

import (
	"fmt"
	"slices"
	"strings"
)

// Version is an inter-broker protocol version (Kafka's MetadataVersion.java). Later versions compare greater.
type Version int16

// The versions something depends on. Every version of [ParseVersion] has a number; few need a name.
const (
	V0_8_0 Version = iota
	V0_8_1
	V0_8_2
	V0_9_0
	V0_10_0_IV0
	V0_10_0_IV1
	V0_10_1_IV0
	V0_10_1_IV1
	V0_10_1_IV2
	V0_10_2_IV0
	V0_11_0_IV0
	V0_11_0_IV1
	V0_11_0_IV2
	V1_0_IV0
	V1_1_IV0
	V2_0_IV0
	V2_0_IV1
	V2_1_IV0
	V2_1_IV1
	V2_1_IV2
	V2_2_IV0
	V2_2_IV1
	V2_3_IV0
	V2_3_IV1
	V2_4_IV0
	V2_4_IV1
	V2_5_IV0
	V2_6_IV0
	V2_7_IV0
	V2_7_IV1
	V2_7_IV2
	V2_8_IV0
	V2_8_IV1
	V3_0_IV0
	V3_0_IV1
	V3_1_IV0
	V3_2_IV0
	V3_3_IV0
	V3_3_IV1
	V3_3_IV2
	V3_3_IV3
	V3_4_IV0
	V3_5_IV0
	V3_5_IV1
	V3_5_IV2
	V3_6_IV0
	V3_6_IV1
	V3_6_IV2
	V3_7_IV0
	V3_7_IV1
	V3_7_IV2
	V3_7_IV3
	V3_7_IV4
	V3_8_IV0
	V3_9_IV0
	V4_0_IV0
	V4_0_IV1
)

// LatestProduction is the newest version meant for use, and the default.
const LatestProduction = V3_9_IV0

const versionNames = "0.8.0 0.8.1 0.8.2 0.9.0 0.10.0-IV0 0.10.0-IV1 0.10.1-IV0 0.10.1-IV1 0.10.1-IV2 0.10.2-IV0 " +
	"0.11.0-IV0 0.11.0-IV1 0.11.0-IV2 1.0-IV0 1.1-IV0 2.0-IV0 2.0-IV1 2.1-IV0 2.1-IV1 2.1-IV2 2.2-IV0 2.2-IV1 " +
	"2.3-IV0 2.3-IV1 2.4-IV0 2.4-IV1 2.5-IV0 2.6-IV0 2.7-IV0 2.7-IV1 2.7-IV2 2.8-IV0 2.8-IV1 3.0-IV0 3.0-IV1 3.1-IV0 " +
	"3.2-IV0 3.3-IV0 3.3-IV1 3.3-IV2 3.3-IV3 3.4-IV0 3.5-IV0 3.5-IV1 3.5-IV2 3.6-IV0 3.6-IV1 3.6-IV2 3.7-IV0 3.7-IV1 " +
	"3.7-IV2 3.7-IV3 3.7-IV4 3.8-IV0 3.9-IV0 4.0-IV0 4.0-IV1"

// String returns the long form, for instance "3.9-IV0".
func (v Version) String() string {
	names := strings.Fields(versionNames)
	if v < 0 || int(v) >= len(names) {
		return fmt.Sprintf("Version(%d)", int16(v))
	}
	return names[v]
}

// ParseVersion reads a version. A release ("2.7", "2.7.1") means its newest sub-version, "2.7-IV1" that very one.
func ParseVersion(s string) (Version, error) {
	names := strings.Fields(versionNames)
	if i := slices.Index(names, s); i >= 0 {
		return Version(i), nil
	}
	// Only the parts that name a release count: two of them from 1.0 on, three before.
	parts := strings.Split(s, ".")
	take := 2
	if parts[0] == "0" {
		take = 3
	}
	if len(parts) >= take {
		release := strings.Join(parts[:take], ".")
		for i, name := range slices.Backward(names) {
			if r, _, _ := strings.Cut(name, "-"); r == release {
				return Version(i), nil
			}
		}
	}
	return 0, fmt.Errorf("Version %s is not a valid version", s)
}

// recordVersion is the newest record format a version knows: magic 0, 1 or 2.
func (v Version) recordVersion() int {
	switch {
	case v < V0_10_0_IV0:
		return 0
	case v < V0_11_0_IV0:
		return 1
	}
	return 2
}
