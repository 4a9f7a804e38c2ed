// Package zkstore is the fleet's memory: every znode kraal reads or writes, typed, in Apache Kafka's layout and
// encoding. It knows nobody above it and is the only package that talks to ZooKeeper.
package zkstore
