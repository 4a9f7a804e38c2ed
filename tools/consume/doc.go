// Package consume is `kraal console-consumer` (kafka-console-consumer): it prints the records of topics.
//
//	command.go      options, and the loop that prints
//	settings.go     options and properties become the Java consumer's settings
//	timestamps.go   whose clock set the timestamps of a topic
//	formatter.go    what is printed; default.go, deserialize.go: Kafka's default
//
// Kafka's tool makes up a group id if it is given none, joins that group and commits nothing. The records are the same
// if no group is joined, and a broker need not coordinate anything; so without --group kraal
// reads the partitions directly (tools/stream).
//
// The source's goroutines hand batches to the printing loop over one channel and end, all of them, before the command
// does. A slow terminal so holds up the fetching.
package consume
