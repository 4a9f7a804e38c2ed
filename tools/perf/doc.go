// Package perf is `kraal producer-perf-test` and `kraal consumer-perf-test` (kafka-producer-perf-test,
// kafka-consumer-perf-test): bounded load on a cluster, measured. Their lines of numbers are parsed by scripts and have the
// form of Kafka's tools (tools/.../ProducerPerformance.java, ConsumerPerformance.java).
//
//	produce.go   the producer's options and loop; payload.go: what it sends; throttle.go: how fast at most
//	stats.go     counts and latencies of what was acknowledged
//	consume.go   the consumer's options and loop; progress.go: its rows
//	metrics.go   the table of --print-metrics, with sarama's metrics
//
// The consumer joins a group only if one is named; otherwise it reads the partitions directly and its "rebalance" is the
// time until they were found.
package perf
