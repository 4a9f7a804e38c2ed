package records

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// request is one partition's new log start offset: -1 means the high watermark.
type request struct {
	meta.TopicPartition
	offset int64
}

const (
	operationException     = "org.apache.kafka.server.common.AdminOperationException"
	commandFailedException = "org.apache.kafka.server.common.AdminCommandFailedException"
	mappingException       = "com.fasterxml.jackson.databind.JsonMappingException"
)

// parseOffsets reads {"partitions":[{"topic":"foo","partition":1,"offset":42}],"version":1}; the version may be missing.
func parseOffsets(text []byte) ([]request, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var document any
	if err := dec.Decode(&document); err != nil {
		return nil, &client.Error{Class: operationException, Message: "The input string is not a valid JSON"}
	}
	fields, err := object(document)
	if err != nil {
		return nil, err
	}
	if v, ok := fields["version"]; ok {
		version, err := integer(v, math.MinInt32, math.MaxInt32, "Integer")
		if err != nil {
			return nil, err
		}
		if version != 1 {
			return nil, &client.Error{Class: operationException, Message: fmt.Sprintf("Not supported version field value %d", version)}
		}
	}
	partitions, ok := fields["partitions"]
	if !ok {
		return nil, &client.Error{Class: operationException, Message: "Missing partitions field"}
	}
	list, ok := partitions.([]any)
	if !ok {
		return nil, mapping("Expected JSON array, received " + render(partitions))
	}
	return parsePartitions(list)
}

func parsePartitions(list []any) ([]request, error) {
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
		return nil, &client.Error{Class: commandFailedException,
			Message: "Offset json file contains duplicate topic partitions: " + strings.Join(duplicates, ",")}
	}
	return requests, nil
}

func parsePartition(entry any) (r request, err error) {
	fields, err := object(entry)
	if err != nil {
		return r, err
	}
	for _, name := range []string{"topic", "partition", "offset"} {
		if _, ok := fields[name]; !ok {
			return r, mapping("No such field exists: `" + name + "`")
		}
	}
	topic, ok := fields["topic"].(string)
	if !ok {
		return r, mapping("Expected `String` value, received " + render(fields["topic"]))
	}
	partition, err := integer(fields["partition"], math.MinInt32, math.MaxInt32, "Integer")
	if err != nil {
		return r, err
	}
	offset, err := integer(fields["offset"], math.MinInt64, math.MaxInt64, "Long")
	if err != nil {
		return r, err
	}
	return request{meta.TopicPartition{Topic: topic, Partition: int32(partition)}, offset}, nil
}

func object(v any) (map[string]any, error) {
	if fields, ok := v.(map[string]any); ok {
		return fields, nil
	}
	return nil, mapping("Expected JSON object, received " + render(v))
}

func integer(v any, low, high int64, kind string) (int64, error) {
	if number, ok := v.(json.Number); ok {
		if n, err := number.Int64(); err == nil && n >= low && n <= high {
			return n, nil
		}
	}
	return 0, mapping("Expected `" + kind + "` value, received " + render(v))
}

func mapping(message string) error { return &client.Error{Class: mappingException, Message: message} }

func render(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
