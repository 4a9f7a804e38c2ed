// Package group coordinates consumer groups, and groups of anything else that speaks the classic group protocol, Kafka Connect for one:
// who is a member, which generation it is, what the leader assigned, and which offsets were committed.
//
// A group's coordinator is the leader of the partition of __consumer_offsets that its id hashes to. Each such partition is a [Shard],
// a machine in the sense of package coord: everything here is decided on the shard's goroutine, by events, and nothing waits. What a
// shard may do is its [Env]: read the time, set timers, append to the log.
//
// # Generations
//
//	Empty --join--> PreparingRebalance --all have joined, or time is up--> CompletingRebalance --assignment is in the log--> Stable
//	                      ^  |                                                   |                                             |
//	                      |  +--nobody has--> Empty                              |                                             |
//	                      +-----------------a member comes, goes, or wants something else--------------------------------------+
//
// A JoinGroup is parked until the join phase ends; then the generation is one higher, the members are those who joined, and one of them,
// the leader, is told of all and decides who gets what. A SyncGroup is parked until the leader's decision is in the log. So what a
// member was told survives its coordinator, and the next one loads the group as Stable, in the same generation: nobody rebalances
// because a coordinator moved.
//
// This is GroupCoordinator.scala of Kafka 3.9, rule for rule, except where that leaves a request unanswered: a request of a member
// removed or replaced by a later request of the same member is answered here. Where Kafka leaves a choice to a hash map's order, the
// member longest in the group is taken.
//
// # The log, and ZooKeeper
//
// Records are those of Apache Kafka, so that a group moves between brokers of both kinds and keeps its generation (records.go). Beside
// the protocol, and never in its way, the members and what they own are shown in ZooKeeper as Kafka 0.8's consumers did ([Board]).
//
// # Goroutines and locks
//
// A shard's state belongs to its shard's goroutine in package coord. Handlers wait in their connection's goroutine.
package group
