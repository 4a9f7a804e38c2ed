// Package dump is `kraal dump-log` (kafka-dump-log): it prints the files of a log directory without a broker, in the
// text of kafka.tools.DumpLogSegments, which people diff and scripts parse.
//
//	segment.go     .log: batches, and with deep iteration their records
//	index.go       .index: offset to position, checked against the log beside it
//	timeindex.go   .timeindex: time to offset, checked likewise
//	txnindex.go    .txnindex: aborted transactions
//	snapshot.go    .snapshot: the producers' state
//	checkpoint.go  *-offset-checkpoint and leader-epoch-checkpoint, which Kafka's tool cannot read
//	decode.go      what keys and payloads say
//
// Files are opened for reading only and read a batch or a page at a time: a segment of gigabytes is dumped in the memory
// of its largest batch. What is found wrong goes to stderr: contradictions between files after all files, as Kafka does;
// a file that cannot be read on gets one line of its own, the next file is dumped all the same and the exit code is 1,
// where Kafka's tool dies of an exception at that point.
package dump
