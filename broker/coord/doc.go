// Package coord runs replayable state machines over the partitions of an internal topic: what groups and transactions have in
// common. Whoever leads a partition coordinates the keys that hash to it; its state is what the partition's log says.
//
// A [Runtime] is told by the replica manager which partitions this broker leads, and keeps a shard for each: it makes a
// [Machine], replays the log into it, and from then on runs events on it, one at a time. Machines know what records mean; this
// package knows when they may act. Bytes on disk and replication sit behind [Journal].
//
// # Invariants
//
//   - A machine's methods, events, timers and callbacks run on its shard's goroutine, one at a time. Nothing there may block.
//   - An append's callback runs after the record is on all in-sync replicas, or has failed; callbacks run in the order of the
//     appends. So a machine decides, appends, and answers in the callback.
//   - What happens to a partition's log reaches its machine in the order of the log: a transaction's marker waits until the
//     callbacks of all appends below it have run.
//   - Nothing is appended by a shard whose broker has not led without interruption since the shard's epoch, and events are not
//     taken up by such a shard: the journal is asked each time, because its answer is ahead of the news.
//   - A leadership that goes on in the next epoch goes on with the same machine. If an epoch was skipped, another leader may
//     have been in between, who may have changed what is outside of the log, so the shard is replayed.
//
// # Goroutines and locks
//
// Two per shard: the shard, which loads and then runs events, and its awaiter, which waits for replication in order. Both end
// when leadership or the Runtime does, and Run waits for them. Runtime.mu guards the table of shards, mailbox.mu and awaiter.mu
// their queues; all three are leaves.
package coord
