//go:build interop

package interop

import (
	"os"
	"path/filepath"
)

// kafkaNode is kafka-node 2.6.1 of 2018, which finds brokers in ZooKeeper and speaks version 0 of Produce and Fetch: its
// records are converted up, and those it reads down. Of the codecs it knows gzip without native modules.
//
// A broker pads a converted set to the length it had promised, also for the batch at the end of what was read, of which it had
// only a part. kafka-node takes the padding for messages and dies of more than 128 KB of it. So batches are small here, and
// fetches not large.
func kafkaNode() client {
	some := []string{"none", "gzip"}
	return exchange(client{name: "kafka-node", limits: limits{noHeaders: true, small: true}, codecs: some, reads: some, missing: func(e *environment) string {
		if e.zookeeper == "" {
			return "KRAAL_ZOOKEEPER names no ZooKeeper"
		}
		if _, err := os.Stat(filepath.Join(e.tools, "node_modules/kafka-node")); err != nil {
			return err.Error()
		}
		return found("node")
	}}, func(e *environment) []string {
		return []string{"node", "testdata/kafka_node.js", filepath.Join(e.tools, "node_modules"), e.zookeeper}
	})
}
