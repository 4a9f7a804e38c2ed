package controller

import (
	"fmt"
	"strconv"
	"strings"
)

// Protocol is what inter.broker.protocol.version decides for the controller. Requests to brokers are not negotiated, so
// the whole fleet has to run the same one.
type Protocol struct {
	LeaderAndISR    int16 // request version
	UpdateMetadata  int16 // request version
	StopReplica     int16 // request version
	TopicIDs        bool  // give topics without an id one (KIP-516)
	LeaderRecovery  bool  // mark uncleanly elected leaders RECOVERING (KIP-704)
	AlterPartition  bool  // leaders ask for ISR changes (KIP-497); below that they write the state znode themselves
	ProducerIDs     bool  // the controller hands out producer id blocks (KIP-730)
	FeatureVersions bool  // /feature is enabled (KIP-584)
	FeatureLevels   bool  // /feature has format 2 (KIP-778)
}

// ibp is a parsed inter.broker.protocol.version: a release and, within it, an iteration.
type ibp struct {
	release [3]int
	iv      int
}

func (v ibp) atLeast(release [3]int, iv int) bool {
	for i := range release {
		if v.release[i] != release[i] {
			return v.release[i] > release[i]
		}
	}
	return v.iv >= iv
}

// latestIV stands for "the last iteration of that release", which a bare "2.7" means.
const latestIV = 1 << 30

// ParseProtocol reads an inter.broker.protocol.version such as "3.9", "3.9-IV0", "2.6" or "0.10.2-IV0".
func ParseProtocol(version string) (Protocol, error) {
	v, err := parseIBP(version)
	if err != nil {
		return Protocol{}, err
	}
	step := func(of []ibp) int16 {
		for i, since := range of {
			if v.atLeast(since.release, since.iv) {
				return int16(len(of) - i)
			}
		}
		return 0
	}
	// The tables of Kafka's ControllerChannelManager: newest request version first.
	return Protocol{
		LeaderAndISR: step([]ibp{{[3]int{3, 4}, 0}, {[3]int{3, 2}, 0}, {[3]int{2, 8}, 1}, {[3]int{2, 4}, 1},
			{[3]int{2, 4}, 0}, {[3]int{2, 2}, 0}, {[3]int{1, 0}, 0}}),
		UpdateMetadata: step([]ibp{{[3]int{3, 4}, 0}, {[3]int{2, 8}, 1}, {[3]int{2, 4}, 1}, {[3]int{2, 2}, 0},
			{[3]int{1, 0}, 0}, {[3]int{0, 10, 2}, 0}, {[3]int{0, 10, 0}, 1}, {[3]int{0, 9, 0}, 0}}),
		StopReplica:     step([]ibp{{[3]int{3, 4}, 0}, {[3]int{2, 6}, 0}, {[3]int{2, 4}, 1}, {[3]int{2, 2}, 0}}),
		TopicIDs:        v.atLeast([3]int{2, 8}, 0),
		LeaderRecovery:  v.atLeast([3]int{3, 2}, 0),
		AlterPartition:  v.atLeast([3]int{2, 7}, 2),
		ProducerIDs:     v.atLeast([3]int{3, 0}, 0),
		FeatureVersions: v.atLeast([3]int{2, 7}, 0),
		FeatureLevels:   v.atLeast([3]int{3, 3}, 0),
	}, nil
}

func parseIBP(version string) (ibp, error) {
	release, iv, hasIV := strings.Cut(version, "-IV")
	v := ibp{iv: latestIV}
	if hasIV {
		n, err := strconv.Atoi(iv)
		if err != nil || n < 0 {
			return ibp{}, fmt.Errorf("inter.broker.protocol.version %q: bad iteration", version)
		}
		v.iv = n
	}
	parts := strings.Split(release, ".")
	if len(parts) < 2 {
		return ibp{}, fmt.Errorf("inter.broker.protocol.version %q: not a release", version)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return ibp{}, fmt.Errorf("inter.broker.protocol.version %q: not a release", version)
		}
		if i < len(v.release) { // a fourth number, as in 0.8.2.0, decides nothing
			v.release[i] = n
		}
	}
	if v.release[0] > 0 {
		v.release[2] = 0 // since 1.0 a third number is a bug fix release
	}
	return v, nil
}
