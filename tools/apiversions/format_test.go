package apiversions

import (
	"testing"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// The expected file is what Apache Kafka 3.9.1's tool prints of a 3.9.1 broker in ZooKeeper mode, with five APIs changed
// to show what a broker of another age looks like.
func TestFormat(t *testing.T) {
	var offered []sarama.ApiVersionsResponseKey
	for key, a := range known {
		switch key {
		case 55, 64, 71, 72, 74, 75, 76, 77, 78, 79, 80, 81, 83, 84, 85, 86, 87: // KRaft's
			continue
		}
		if a.client {
			offered = append(offered, sarama.ApiVersionsResponseKey{ApiKey: int16(key), MaxVersion: a.latest})
		}
	}
	offered[0].MinVersion = 12 // newer than we know
	offered[0].MaxVersion = 13
	offered[1].MaxVersion = 99
	offered[2].MinVersion, offered[2].MaxVersion = 3, 3
	offered[3].MaxVersion = 5
	offered = append(offered, sarama.ApiVersionsResponseKey{ApiKey: 1000}, sarama.ApiVersionsResponseKey{ApiKey: 1001, MinVersion: 1, MaxVersion: 2})
	testkit.Golden(t, "broker.txt", []byte(format(offered)+"\n"))
}
