// Package partitions holds the tools that move partitions between brokers and look after their replicas:
//
//	kafka-reassign-partitions   reassign.go, generate.go, execute.go, verify.go, cancel.go, list.go: a file per action
//	kafka-leader-election       elect.go
//	kafka-replica-verification  compare.go
//
// plan.go and election.go read and write their files, moves.go knows the states of moves between log directories,
// throttle.go computes what a reassignment is slowed down by, replicas.go compares what replicas hold: these are pure.
// calls.go, configure.go and logdirs.go speak to the brokers. sarama has no AlterReplicaLogDirs, cannot ask for all
// reassignments or elect everywhere, and hides the answers to AlterPartitionReassignments: those go as kmsg requests.
//
// # Throttles
//
// A reassignment with --throttle leaves configuration behind that slows replication down for good, so whoever sets it has
// to see that it goes. Invariant: throttles set by --execute are there after it only if something moves or may be moving.
//
//  1. What was configured before is read, then the throttles are set, then the reassignment is submitted.
//  2. If the tool fails or is interrupted before it has submitted, or if the controller refuses every partition, what was
//     configured before is put back. The same goes for the throttle of log directories while no such move has begun.
//  3. If a partition was accepted, or the answer did not arrive, the throttles stay: --verify removes them once nothing
//     moves any more. It does so on every broker and topic that can be reached, whatever happens to the others.
package partitions
