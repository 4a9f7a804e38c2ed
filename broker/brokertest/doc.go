// Package brokertest runs brokers for tests: in the test's own process (node.go, fleet.go), where the race detector sees them,
// or as processes of the real program (proc.go, procfleet.go), which can be killed, paused, and cut off from each other and
// from ZooKeeper.
package brokertest
