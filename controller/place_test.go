package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestPlace compares with what Kafka's AdminUtils.assignReplicasToBrokers returned for the same fixed start.
func TestPlace(t *testing.T) {
	runScript(t, "testdata/place.txt", func(command string) string {
		var p Placement
		for _, field := range strings.Fields(command)[1:] {
			key, value, _ := strings.Cut(field, "=")
			n, _ := strconv.Atoi(value)
			switch key {
			case "partitions":
				p.Partitions = n
			case "factor":
				p.ReplicationFactor = n
			case "start":
				p.Start, p.Shift = n, n
			case "first":
				p.FirstPartition = n
			case "brokers":
				p.Brokers = candidates(value)
			}
		}
		return placementText(Place(p))
	})
}

// candidates reads "1:a,2:b" or "1,2".
func candidates(text string) []Candidate {
	var cs []Candidate
	for one := range strings.SplitSeq(text, ",") {
		id, rack, _ := strings.Cut(one, ":")
		cs = append(cs, Candidate{ID: parseIDs(id)[0], Rack: rack})
	}
	return cs
}

func placementText(placed map[int32][]meta.BrokerID, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var out strings.Builder
	for _, id := range slices.Sorted(maps.Keys(placed)) {
		fmt.Fprintf(&out, "%d %s\n", id, idsText(placed[id]))
	}
	return out.String()
}

func TestPlaceRefuses(t *testing.T) {
	three := candidates("1,2,3")
	for _, test := range []struct {
		p    Placement
		want error
	}{
		{NewPlacement(three, 0, 1), ErrPlacePartitions},
		{NewPlacement(three, -5, 1), ErrPlacePartitions},
		{NewPlacement(three, 1, 0), ErrPlaceFactor},
		{NewPlacement(three, 1, 4), ErrPlaceFactor},
		{NewPlacement(nil, 1, 1), ErrPlaceFactor},
		{NewPlacement(candidates("1:a,2"), 1, 1), ErrPlaceRacks},
		{GrowthPlacement(three, 4, 1, nil), ErrPlaceFactor},
	} {
		if _, err := Place(test.p); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v, want %v", test.p, err, test.want)
		}
	}
}

// TestPlaceSpreads checks, from random starts, what a placement promises whatever the start.
func TestPlaceSpreads(t *testing.T) {
	for _, fleet := range []string{"1", "4,2,9", "1:a,2:a,3:b,4:b,5:c,6:c", "1:a,2:a,3:a,4:b"} {
		brokers := candidates(fleet)
		racks := map[string]bool{}
		for _, b := range brokers {
			racks[b.Rack] = true
		}
		for factor := 1; factor <= len(brokers); factor++ {
			placed, err := Place(NewPlacement(brokers, 2*len(brokers), factor))
			if err != nil {
				t.Fatal(err)
			}
			leads := map[meta.BrokerID]int{}
			for id, replicas := range placed {
				leads[replicas[0]]++
				used := map[string]bool{}
				for i, b := range replicas {
					if slices.Contains(replicas[:i], b) {
						t.Errorf("%s: partition %d on %v", fleet, id, replicas)
					}
					used[brokers[slices.IndexFunc(brokers, func(c Candidate) bool { return c.ID == b })].Rack] = true
				}
				if len(used) < min(len(racks), factor) {
					t.Errorf("%s: partition %d on %v uses too few racks", fleet, id, replicas)
				}
			}
			for _, b := range brokers {
				if leads[b.ID] != 2 {
					t.Errorf("%s: broker %d leads %d of %d", fleet, b.ID, leads[b.ID], len(placed))
				}
			}
		}
	}
}

// TestGrowthGoesOn checks that partitions added later land where they would have landed at once.
func TestGrowthGoesOn(t *testing.T) {
	brokers := candidates("1,2,3,4,5")
	all, err := Place(Placement{Brokers: brokers, Partitions: 12, ReplicationFactor: 3, Start: 2, Shift: 2})
	if err != nil {
		t.Fatal(err)
	}
	added, err := Place(GrowthPlacement([]Candidate{brokers[3], brokers[0], brokers[4], brokers[2], brokers[1]}, 7, 5, all[0]))
	if err != nil {
		t.Fatal(err)
	}
	// The shift counts from the start again, as in Kafka, so only the leaders are certain to go on.
	for id, replicas := range added {
		if id < 7 || replicas[0] != all[id][0] || len(replicas) != 3 {
			t.Errorf("partition %d on %v, want leader %d", id, replicas, all[id][0])
		}
	}
}
