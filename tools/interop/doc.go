// Package interop holds tests with other people's clients, as they are found in the field: each sends a hundred thousand
// records of mixed sizes, keys, headers and codecs to a running broker and reads them back, and each reads what franz-go
// has sent. Every byte must come back, in order within each partition.
//
// `make interop` (run.sh) starts a broker, installs the clients and runs the tests. By hand:
//
//	KRAAL_BOOTSTRAP=127.0.0.1:9092 KRAAL_ZOOKEEPER=127.0.0.1:2181 go test -tags interop ./tools/interop
//
// The broker may be any Kafka. No client joins a group. A client that is not installed is skipped, loudly, or fails if CI
// is true. Record counts shrink with KRAAL_RECORDS.
//
// `make handover` (handover.sh) is about the log directory: one broker's place is taken by kraal and Apache Kafka in turn.
//
// The programs in testdata speak one exchange format with the tests, all numbers big-endian:
//
//	record   := bytes key, bytes value, int32 count, count x (bytes key, bytes value)
//	bytes    := int32 length (-1: null), the bytes
//	produce  reads a file of records
//	consume  writes a file of int32 partition, int64 offset, record
package interop
