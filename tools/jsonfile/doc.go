// Package jsonfile reads the JSON files that are given to Kafka's tools: partitions to move, leaders to elect, offsets to
// delete up to. What is wrong with one is told in the words of Kafka's decoders (org.apache.kafka.server.util.json) and
// under the names of their exceptions.
//
// As in Jackson, which they are made of, of two fields of one name the later counts, and what follows the first value is
// not looked at.
package jsonfile
