// Package storage owns everything on disk: the logs of the partitions hosted here, in files byte-compatible with
// Apache Kafka's.
package storage
