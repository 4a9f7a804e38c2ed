// Package produce is `kraal console-producer` (kafka-console-producer): it sends the lines of standard input to a topic.
//
//	command.go   options
//	settings.go  options and properties become the Java producer's settings, and those sarama's
//	lines.go     lines of any length out of any amount of input, in bounded memory
//	reader.go    a line becomes headers, key and value
//	terminal.go  prompts, and signals that end the input
//
// tools/stream sends. What is in flight is bounded by buffer.memory, so a fast input waits for a slow cluster.
package produce
