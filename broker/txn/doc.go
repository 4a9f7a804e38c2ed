// Package txn coordinates transactions: who may write in the name of a transactional id, what its transaction has touched, and
// how it ends.
//
// The coordinator of a transactional id is the leader of partition hash(id) mod N of __transaction_state. That partition's log
// is the truth; a [shard] holds it in memory, under package coord. Bytes, replication and the brokers that lead the partitions
// written to sit behind coord.Journal and [Sender].
//
// # The life of a transaction
//
//	InitProducerId      a producer id and an epoch that fences earlier producers of the same transactional id
//	AddPartitionsToTxn  a partition is in the log here before the first record is written there
//	Produce             the partition's leader asks here, once per transaction and partition, whether that is so ([Verifier])
//	EndTxn              PrepareCommit or PrepareAbort is in the log: decided, and the client is told
//	WriteTxnMarkers     a marker is in the log of every partition ([markers]); then CompleteCommit or CompleteAbort is written
//
// # Invariants
//
//   - A transition is appended, then replicated, then becomes the state and is answered. At most one is under way per id.
//   - No marker is sent before the decision is on all in-sync replicas: whoever coordinates next finds it. A new coordinator serves
//     and sends only after all that it read is.
//   - A prepared transaction ends as it was decided. Its markers are sent until every partition has one, or does not exist any
//     more according to ZooKeeper; this broker's picture of the fleet, which may be incomplete, is not enough to pass over one.
//   - Epoch 32767 is never given to a producer, so that it can always be fenced.
//
// # Goroutines
//
// Shards run under coord.Runtime. [Coordinator.Run] also runs the sender of markers: one goroutine that finds out where they go,
// and one for each broker they go to. The Verifier has a goroutine for each broker it asks, as long as there is something to ask.
package txn
