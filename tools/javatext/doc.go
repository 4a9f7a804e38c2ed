// Package javatext prints values as Java and Scala do where Kafka's tools show them: text from bytes that may not be
// UTF-8, floating-point numbers, the order in which a Scala hash table gives its elements.
package javatext
