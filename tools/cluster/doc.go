// Package cluster is kafka-cluster: the cluster's id, and unregistering brokers, which ZooKeeper mode does not have.
package cluster
