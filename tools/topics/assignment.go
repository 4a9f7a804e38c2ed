package topics

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
)

// parseAssignment reads 0:1:2,1:2:0: one list of broker ids per partition, all of the same length.
func parseAssignment(text string) ([][]int32, error) {
	var assignment [][]int32
	for i, list := range strings.Split(text, ",") {
		var replicas, duplicates []int32
		for id := range strings.SplitSeq(list, ":") {
			n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
			if err != nil {
				return nil, &client.Error{Class: "java.lang.NumberFormatException", Message: fmt.Sprintf("For input string: %q", id)}
			}
			if slices.Contains(replicas, int32(n)) && !slices.Contains(duplicates, int32(n)) {
				duplicates = append(duplicates, int32(n))
			}
			replicas = append(replicas, int32(n))
		}
		if len(duplicates) > 0 {
			return nil, &client.Error{Class: "org.apache.kafka.server.common.AdminCommandFailedException",
				Message: "Partition replica lists may not contain duplicate entries: " + join(duplicates, ",")}
		}
		assignment = append(assignment, replicas)
		if len(replicas) != len(assignment[0]) {
			return nil, &client.Error{Class: "org.apache.kafka.server.common.AdminOperationException",
				Message: fmt.Sprintf("Partition %d has different replication factor: [%s]", i, join(replicas, ", "))}
		}
	}
	return assignment, nil
}

// parseConfigs reads --config name=value options. A name without value is refused, as is a second '='.
func parseConfigs(pairs []string) (map[string]*string, error) {
	configs := map[string]*string{}
	for _, pair := range pairs {
		parts := strings.Split(pair, "=")
		// Java's String.split drops empty strings at the end, so "a=" has one part and "a=b=" two.
		for len(parts) > 0 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
		if len(parts) != 2 {
			return nil, &client.Error{Class: client.IllegalArgument,
				Message: `requirement failed: Invalid topic config: all configs to be added must be in the format "key=val".`}
		}
		value := strings.TrimSpace(parts[1])
		configs[strings.TrimSpace(parts[0])] = &value
	}
	return configs, nil
}

func join(ids []int32, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, separator)
}
