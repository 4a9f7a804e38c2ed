// Package groups is kafka-consumer-groups: list and describe consumer groups, reset and delete their offsets, delete them. With
// --zookeeper it does, as Kafka's did before 1.1, what can be done without any broker that coordinates.
//
// Failures at run time are printed on stdout and the exit code is 0 all the same, as scripts expect of Kafka's; wrong usage is 1.
package groups
