package group

import (
	"fmt"
	"slices"
)

// State is what a group is doing. The names are those on the wire (GroupMetadata.scala).
type State int8

const (
	// Empty: no members. Entered by a new group and by a join phase that nobody is left in; left by the first join, or for good
	// when the group is deleted, or has neither members nor offsets when the expiry looks.
	Empty State = iota
	// PreparingRebalance: the join phase. Entered whenever the members or what they want change; members park in JoinGroup until
	// all have joined or time is up.
	PreparingRebalance
	// CompletingRebalance: the generation is fixed and members park in SyncGroup until the leader's assignment is in the log.
	CompletingRebalance
	// Stable: every member can have its assignment. Also how a group with members is loaded from the log.
	Stable
	// Dead: deleted, expired or unloaded. Nothing leaves it.
	Dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s State) String() string { return stateNames[s] }

// enteredFrom has the legal transitions.
var enteredFrom = [...][]State{
	Empty:               {PreparingRebalance},
	PreparingRebalance:  {Stable, CompletingRebalance, Empty},
	CompletingRebalance: {PreparingRebalance},
	Stable:              {CompletingRebalance},
	Dead:                {Stable, PreparingRebalance, CompletingRebalance, Empty, Dead},
}

func (s State) mayBecome(next State) bool { return slices.Contains(enteredFrom[next], s) }

// become changes the group's state. An illegal transition is a mistake in this package.
func (s *Shard) become(g *Group, next State) {
	if !g.state.mayBecome(next) {
		panic(fmt.Sprintf("group %s: %s cannot become %s", g.id, g.state, next))
	}
	s.metrics.moved(g.state, next)
	g.state = next
	g.stateSince = s.env.Now()
}
