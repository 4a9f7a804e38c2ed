// Package brokertest runs brokers for tests: in the test's own process (node.go), where the race detector sees them, or as
// processes of the real program (proc.go), which can be killed.
package brokertest
