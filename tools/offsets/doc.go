// Package offsets is kafka-get-offsets: the offsets of partitions at a time, or at their beginning or end.
package offsets
