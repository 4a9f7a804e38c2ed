// Package coordlog puts into words the records of the two topics in which Kafka's coordinators keep their state,
// __consumer_offsets and __transaction_state.
//
// Three dialects are in use, and scripts read all of them:
//
//	dump       kraal dump-log --offsets-decoder and --transaction-log-decoder (kafka.tools.DumpLogSegments)
//	formatter  the console consumer's OffsetsMessageFormatter, GroupMetadataMessageFormatter and
//	           TransactionLogMessageFormatter of 3.9: one JSON object for each record
//	legacy     the formatters of the same names nested in Kafka's coordinator classes until 3.x: Scala's toString
//
// The functions are pure: bytes in, text out. They hold nothing, start nothing and accept any bytes.
// Record types 3 and up belong to the group coordinator of KRaft (KIP-848), which does not exist beside ZooKeeper; they
// are named as unknown.
package coordlog
