// Package topics is kafka-topics: list, describe, create, grow and delete topics.
//
// With --bootstrap-server it goes through the brokers' APIs, as in Kafka 3; with --zookeeper it reads and writes the
// znodes itself, as in Kafka before 3.0, for scripts of that age. A file per action; format.go, assignment.go and names.go are pure.
package topics
