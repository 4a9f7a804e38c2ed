package controller

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Placement failures. broker/api maps them; Kafka answers INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR and, for
// brokers of which only some have a rack, UNKNOWN_SERVER_ERROR.
var (
	ErrPlacePartitions = errors.New("number of partitions must be larger than 0")
	ErrPlaceFactor     = errors.New("replication factor out of range")
	ErrPlaceRacks      = errors.New("not all brokers have a rack")
)

// Candidate is a broker that may get replicas.
type Candidate struct {
	ID   meta.BrokerID
	Rack string // empty: none. Either all candidates have one or none has.
}

// Placement says what to place. Start and Shift make the outcome reproducible; -1 draws one at random.
type Placement struct {
	Brokers           []Candidate // the order matters where no racks are given
	Partitions        int
	ReplicationFactor int
	FirstPartition    int // id of the first partition placed: larger than 0 when a topic grows
	Start             int // index of the broker that leads partition 0
	Shift             int // distance from the leader to its first follower, minus one
}

// NewPlacement returns a placement of a new topic, spread from a random start.
func NewPlacement(brokers []Candidate, partitions, replicationFactor int) Placement {
	return Placement{Brokers: brokers, Partitions: partitions, ReplicationFactor: replicationFactor, Start: -1, Shift: -1}
}

// GrowthPlacement returns the placement of partitions added to a topic: it goes on where the placement of partition 0,
// whose replicas are given, would have gone on.
func GrowthPlacement(brokers []Candidate, existing, added int, replicasOf0 []meta.BrokerID) Placement {
	sorted := slices.Clone(brokers)
	slices.SortFunc(sorted, func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
	start := 0
	if len(replicasOf0) > 0 {
		start = max(0, slices.IndexFunc(sorted, func(c Candidate) bool { return c.ID >= replicasOf0[0] }))
	}
	return Placement{Brokers: sorted, Partitions: added, ReplicationFactor: len(replicasOf0), FirstPartition: existing, Start: start, Shift: start}
}

// Place spreads replicas over brokers (Kafka's AdminUtils.assignReplicasToBrokers): leaders go round the brokers, the
// followers of a partition start at a distance that grows by one with every round, and as long as a rack or a broker has
// no replica of the partition, those that have one are passed over.
func Place(p Placement) (map[int32][]meta.BrokerID, error) {
	n := len(p.Brokers)
	if p.Partitions <= 0 {
		return nil, fmt.Errorf("%w: %d", ErrPlacePartitions, p.Partitions)
	}
	if p.ReplicationFactor <= 0 || p.ReplicationFactor > n {
		return nil, fmt.Errorf("%w: %d with %d brokers available", ErrPlaceFactor, p.ReplicationFactor, n)
	}
	racked := 0
	for _, b := range p.Brokers {
		if b.Rack != "" {
			racked++
		}
	}
	if racked != 0 && racked != n {
		return nil, ErrPlaceRacks
	}
	if p.Start < 0 {
		p.Start = rand.IntN(n)
	}
	if p.Shift < 0 {
		p.Shift = rand.IntN(n)
	}
	brokers, racks := p.Brokers, 1
	if racked > 0 {
		brokers, racks = alternateRacks(p.Brokers)
	}
	placed := make(map[int32][]meta.BrokerID, p.Partitions)
	shift := p.Shift
	for id := p.FirstPartition; id < p.FirstPartition+p.Partitions; id++ {
		if id > 0 && id%n == 0 {
			shift++
		}
		placed[int32(id)] = placeOne(brokers, racks, (id+p.Start)%n, shift*racks, p.ReplicationFactor, racked > 0)
	}
	return placed, nil
}

// placeOne chooses the replicas of one partition, led by brokers[first].
func placeOne(brokers []Candidate, racks, first, shift, factor int, rackAware bool) []meta.BrokerID {
	n := len(brokers)
	replicas := make([]meta.BrokerID, 1, factor)
	replicas[0] = brokers[first].ID
	usedRacks := map[string]bool{brokers[first].Rack: true}
	for k := 0; len(replicas) < factor; k++ { // n-1 successive k visit every other broker once, so this ends
		b := brokers[(first+1+(shift+k)%(n-1))%n]
		if rackAware && usedRacks[b.Rack] && len(usedRacks) < racks || slices.Contains(replicas, b.ID) {
			continue
		}
		replicas = append(replicas, b.ID)
		usedRacks[b.Rack] = true
	}
	return replicas
}

// alternateRacks orders brokers so that neighbours are in different racks as far as possible: one of each rack in turn,
// racks by name, brokers by id. It also returns the number of racks.
func alternateRacks(brokers []Candidate) ([]Candidate, int) {
	byRack := make(map[string][]Candidate)
	for _, b := range brokers {
		byRack[b.Rack] = append(byRack[b.Rack], b)
	}
	racks := make([]string, 0, len(byRack))
	for rack, of := range byRack {
		racks = append(racks, rack)
		slices.SortFunc(of, func(a, b Candidate) int { return cmp.Compare(a.ID, b.ID) })
	}
	slices.Sort(racks)
	ordered := make([]Candidate, 0, len(brokers))
	for i := 0; len(ordered) < len(brokers); i++ {
		for _, rack := range racks {
			if of := byRack[rack]; i < len(of) {
				ordered = append(ordered, of[i])
			}
		}
	}
	return ordered, len(racks)
}
