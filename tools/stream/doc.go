// Package stream moves records to and from a cluster for the console and performance tools, the way Java's producer and
// consumer would, over sarama.
//
//	sender.go   sarama's asynchronous producer for one topic; memory.go: a bound on what is on its way
//	source.go   where records come from, and the topics to read
//	direct.go   without a group: every partition is read directly, no coordinator is needed
//	group.go    with a group: what the coordinator assigns is read, and offsets are committed
//
// A Sender has one goroutine that takes sarama's answers; a Source has one for each partition. They end before Close and
// Run return.
package stream
