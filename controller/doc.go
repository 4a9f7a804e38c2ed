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
// # Goroutines
//
// Run starts the loop; a term starts one sender per registered broker, and watch followers. Run returns when all of
// them have ended. There is one lock, the queue's; a few values other goroutines may ask for (am I active, which
// topics are being deleted) are atomics published by the loop.
package controller
