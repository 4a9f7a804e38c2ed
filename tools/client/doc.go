// Package client is how the command-line tools reach a cluster: Java client properties (a --command-config file) become
// a sarama configuration, and a [Cluster] runs calls the way Kafka's AdminClient does, retrying until
// default.api.timeout.ms is over.
//
// sarama does the talking. Two things it does not model (nullable config values, the newer ListOffsets timestamps) go
// as kmsg requests over the connection that sarama has opened and authenticated: see [Node.Request].
//
// Failures carry the name of the Java exception that Kafka's own tools would print ([Error]), since scripts match it.
//
// A Cluster is for one goroutine.
package client
