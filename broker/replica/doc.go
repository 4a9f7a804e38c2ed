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
//     Nor by a follower: what a fetcher writes is checked against the partition's fetch state under the same lock, so a fetcher
//     that was overtaken by a change of role finds itself superseded and need not be waited for.
//   - A follower fetches from its own log end, cuts its log only to where the leader's epochs say that they part, and takes the
//     leader's word for the high watermark, up or down.
//
// # Goroutines and locks
//
// Run starts the ISR check, the checkpoint of high watermarks, and a fetcher per broker that is followed (times
// num.replica.fetchers), which ends when there is nothing left to copy from it, and the workers that copy replicas to other log
// directories ([Manager.AlterLogDirs]). Everything else runs on the caller's goroutine; requests
// that wait (acks=all, long polling, DeleteRecords) register in the waitlists of their partitions and are woken when an offset
// they need is reached or a role changes, then look again. Lock order: Manager.control, Manager.mu, Partition.mu,
// Partition.followers or move.copying, then storage.Log's own; waitlists and watchers are leaves. FetchWatch.poll is held through a whole poll,
// before Partition.mu and never together with the control lock.
//
// # Fetch sessions
//
// Neither side of replication looks at partitions to which nothing happened. The follower's [fetchSession] tells the leader
// what changed in its wishes; the leader's [FetchWatch] reads what was marked since the last poll. Both are proven against
// complete requests and complete readings in tests.
package replica
