// Package storage owns everything on disk: the logs of the partitions hosted here and the directories they lie in, in
// files byte-compatible with Apache Kafka 3.9's. It knows offsets and bytes; who leads a partition, what is committed and
// who may read is told to it by package replica. Batches come validated by package record.
//
// # On disk
//
//	<log.dirs entry>/
//	    .lock                                held while running
//	    .kafka_cleanshutdown                 there only after a clean stop
//	    .kraal_boot_id                       the run of the machine we were last started in; Kafka passes over it
//	    meta.properties                      broker and cluster id                                    dirs.go
//	    recovery-point-offset-checkpoint     below it everything is on the disk                       checkpoint.go
//	    log-start-offset-checkpoint          of logs that start behind their first segment's base
//	    replication-offset-checkpoint        high watermarks
//	    cleaner-offset-checkpoint            first dirty offsets of compacted logs
//	    <topic>-<partition>/
//	        <base offset>.log                batches, back to back                                    segment.go
//	        <base offset>.index              offset to position                                       offsetindex.go
//	        <base offset>.timeindex          time to offset                                           timeindex.go
//	        <base offset>.txnindex           aborted transactions, if any                             txnindex.go
//	        <offset>.snapshot                producer state as of that offset                         producersnapshot.go
//	        leader-epoch-checkpoint          where each leader epoch began                            epochs.go
//	        partition.metadata               topic id                                                 partitionmetadata.go
//	        kraal-replaces                   for moments only: whose place it is taking               replace.go
//	    <topic>-<partition>.<uuid>-future    a replica being moved here
//	    <topic>-<partition>.<uuid>-delete    waiting to be removed
//	    <topic>-<partition>.<uuid>-stray     set aside                                                stray.go
//
// Each format is drawn in the file named behind it; filenames.go has every name and suffix.
//
// # What is promised
//
//   - Batches are stored as they came. A leader append patches base offset and leader epoch in the caller's buffer and
//     hands it to the system in one write; nothing is copied or allocated per record or per batch.
//   - A read touches no bytes of records: it is a slice of a file, kept open by reference count until it was sent.
//   - What lies below the recovery point that was written down is on the disk, with the indexes of its sealed segments.
//     Recovery therefore scans from the segment the recovery point lies in, however long the log is. Whatever lowers
//     an offset that a checkpoint vouches for (truncation, or recovery itself) writes the checkpoint down first.
//   - After a crash a log is a prefix of what it was, of whole batches: never a hole, never an old tail behind new
//     batches. Bytes that are cut off are cut off durably before anything is written in their place.
//   - A failed write or sync takes the log directory offline, once and for all until the next start: [DirError],
//     [ManagerOptions.OnDirFailure]. Nothing in it is tried again, because after a failed fsync nobody knows what is on
//     the disk.
//   - A full disk is no such failure: what is to be written is refused ([ErrDiskFull]) before anything has changed, reads and
//     retention go on, and so does everything else as soon as there is room. What only spares work (index entries, producer
//     snapshots, checkpoints that would rise) waits in memory. Only a log that is closed must be written completely.
//   - A log without traffic costs about 2 KB and no open file. Index entries are looked up in the file; only the newest
//     of a segment being written are in memory. Nothing is mapped: a full disk would kill the process.
//
// # Goroutines and locks
//
// [Manager.Run] has one flusher per directory, a few tickers (retention, checkpoints, expiry, idle files), the queue of
// delayed deletions and the cleaner's workers. They call the methods everybody calls. There is no goroutine per log.
//
//	Manager.changing, creating    creation, deletion, replacement of logs
//	Log.flushMu                   one flush at a time; truncation keeps flushes out
//	Log.mu                        appends, rolls, truncation, deletion of segments; held over disk writes
//	directory.mu, cleaner.mu      the checkpoint files of a directory; held over their writing
//	Manager.mu, Log.hwMu, segment.mu, txns.mu    leaves, but for
//	place.moving                  the partition directory's name, while files in it are opened
//
// in this order. Readers take no Log.mu: they load the list of segments, which is replaced and never changed, and look
// again if a segment turns out to have been removed meanwhile (errGone). A compaction works beside everything else and
// checks Log.mu.generation before it swaps its output in.
package storage
