package records

import (
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// request is one partition's new log start offset: -1 means the high watermark.
type request struct {
	meta.TopicPartition
	offset int64
}

// parseOffsets reads {"partitions":[{"topic":"foo","partition":1,"offset":42}],"version":1}; the version may be missing.
func parseOffsets(text []byte) ([]request, error) {
	document, err := jsonfile.Parse(text)
	if err != nil {
		return nil, &client.Error{Class: jsonfile.OperationException, Message: "The input string is not a valid JSON"}
	}
	fields, err := document.Object()
	if err != nil {
		return nil, err
	}
	if err := fields.Version(); err != nil {
		return nil, err
	}
	partitions, ok := fields.Get("partitions")
	if !ok {
		return nil, &client.Error{Class: jsonfile.OperationException, Message: "Missing partitions field"}
	}
	list, err := partitions.Array()
	if err != nil {
		return nil, err
	}
	return parsePartitions(list)
}

func parsePartitions(list []jsonfile.Value) ([]request, error) {
	var requests []request
	seen := map[meta.TopicPartition]int{}
	for _, entry := range list {
		r, err := parsePartition(entry)
		if err != nil {
			return nil, err
		}
		requests = append(requests, r)
		seen[r.TopicPartition]++
	}
	var duplicates []string
	for _, r := range requests {
		if seen[r.TopicPartition] > 1 {
			duplicates = append(duplicates, r.String())
			seen[r.TopicPartition] = 0
		}
	}
	if len(duplicates) > 0 {
		return nil, &client.Error{Class: jsonfile.CommandFailedException,
			Message: "Offset json file contains duplicate topic partitions: " + strings.Join(duplicates, ",")}
	}
	return requests, nil
}

func parsePartition(entry jsonfile.Value) (r request, err error) {
	fields, err := entry.Object()
	if err != nil {
		return r, err
	}
	var values [3]jsonfile.Value
	for i, name := range []string{"topic", "partition", "offset"} {
		if values[i], err = fields.Field(name); err != nil {
			return r, err
		}
	}
	if r.Topic, err = values[0].Text(); err != nil {
		return r, err
	}
	if r.Partition, err = values[1].Int(); err != nil {
		return r, err
	}
	r.offset, err = values[2].Long()
	return r, err
}
