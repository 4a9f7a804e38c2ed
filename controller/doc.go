// Package controller decides who leads what. Every broker runs one; the broker that holds /controller is the active
// controller of the fleet, the others stand by and take over when it is gone.
//
// It follows Kafka's ZooKeeper-mode controller (core/src/main/scala/kafka/controller): the same znodes with the same
// guards, the same requests to brokers in the same order, so that brokers of either kind can share a fleet. It
// leaves to others: registering this broker (broker), writing new topics and partitions (broker/api, through
// zkstore), the connections (Sender), and the bytes of znodes (zkstore).
//
// # One loop
//
// One goroutine, the loop, owns the cluster state. Everything that happens is an event in one unbounded queue:
// ZooKeeper watches say "look again", brokers' answers come back, requests ask questions. The loop takes an event, reads
// what it must from ZooKeeper (always for many znodes at once), decides by pure functions (elect.go, place.go, the two
// transition tables), writes the outcome back, and puts requests into outboxes. It never waits for a broker.
//
//	watch signals ─┐                         ┌─> outbox of broker 1 ─> Sender
//	questions ─────┼─> queue ─> loop ─> batch┼─> outbox of broker 2 ─> Sender
//	answers ───────┘             │           └─> outbox of broker 3 ─> Sender
//	    ^                      Store                       │
//	    └──────────────────────────────────────────────────┘
//
// # Terms
//
// A term lasts from winning /controller to losing it. Every write of a term carries the version /controller_epoch had when
// the term was won (the fence); a write that fails the check ends the event and the role is looked at again. Every
// request carries the controller epoch. Whatever belongs to a term (state, watches, outboxes, the rebalance timer) is
// thrown away with it; an event or an answer left over from an earlier term finds another term's number and does nothing.
//
// An event that fails before it has changed anything is logged, and looked at again if a watch caused it. One that fails
// halfway ends the term: memory, ZooKeeper and brokers may each have another picture by then, and the take-over of the next
// term, here or elsewhere, brings them back to ZooKeeper's.
//
// # Not as in Kafka
//
//   - Many partitions are read, decided and written together, where Kafka goes one by one (reassignments, topic ids).
//   - What memory knows of a partition's state is not read again before a conditional write; a conflict is.
//   - A deletion ends a running reassignment instead of waiting for it, and a live broker that failed to delete a replica is
//     asked again after a while.
//   - A reassignment never takes the only live leader, or everything that is in sync, away.
//   - A partition whose state znode exists already when it is created is taken over instead of left without a leader.
//   - A broker registration without the inter-broker listener is passed over instead of making every controller resign.
//   - An AlterPartition with an empty ISR, or with new members that have no replica, is refused.
//   - State znodes are not watched during reassignments below inter.broker.protocol.version 2.7; the leader's notice does.
//   - Delegation tokens and /feature's cache are the broker's business.
//
// # Goroutines
//
// Run starts the loop; a term starts one sender per registered broker, and watch followers. Run returns when all of
// them have ended. There is one lock, the queue's; a few values other goroutines may ask for (am I active, which
// topics are being deleted) are atomics published by the loop.
package controller
