package storage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// partition.metadata holds the id of the topic a partition directory belongs to (KIP-516), so that it is not taken for
// that of a later topic of the same name:
//
//	version: 0
//	topic_id: 22 characters of base64url

var errPartitionMetadata = errors.New("malformed partition.metadata")

func formatPartitionMetadata(id meta.TopicID) []byte {
	return []byte("version: 0\ntopic_id: " + id.String()) // no newline at the end, as Kafka writes it
}

func parsePartitionMetadata(content []byte) (meta.TopicID, error) {
	var id meta.TopicID
	version := ""
	for line := range strings.Lines(string(content)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		switch value = strings.TrimSpace(value); key {
		case "version":
			version = value
		case "topic_id":
			var err error
			if id, err = meta.ParseTopicID(value); err != nil {
				return id, fmt.Errorf("%w: %w", errPartitionMetadata, err)
			}
		}
	}
	if version != "0" {
		return id, fmt.Errorf("%w: version %.20q", errPartitionMetadata, version)
	}
	if id.IsZero() {
		return id, fmt.Errorf("%w: no topic id", errPartitionMetadata)
	}
	return id, nil
}
