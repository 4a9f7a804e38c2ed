// Package replica hosts this broker's replicas: who leads, who follows, and what is committed.
//
// A [Manager] applies the controller's requests (LeaderAndIsr, StopReplica) one after another, and serves appends, reads and
// offset lookups for the partitions it hosts. Bytes and files belong to storage, requests and error codes to api; this package
// decides whether a request may be served here and now, and when a record counts as committed.
//
// # Invariants
//
//   - log start offset <= last stable offset <= high watermark <= log end offset.
//   - A leader's high watermark is not above the log end of any member of the largest ISR that may be in force: the committed
//     one and proposed additions, proposed removals included.
//   - While the committed ISR is smaller than min(min.insync.replicas, replicas) the high watermark stands still.
//   - The leader epoch of a partition never goes back, and is on disk before anything is served in it.
//   - Nothing is appended by a leader in an epoch that is over: appends hold the role's lock for reading from check to write.
//
// # Goroutines and locks
//
// Run starts the ISR check and the checkpoint of high watermarks. Everything else runs on the caller's goroutine; requests
// that wait (acks=all, long polling, DeleteRecords) register in the waitlists of their partitions and are woken when an offset
// they need is reached or a role changes, then look again. Lock order: Manager.control, Manager.mu, Partition.mu,
// Partition.followers, then storage.Log's own; waitlists are leaves.
package replica
