package offsets

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// selector says which partitions to ask for.
type selector func(meta.TopicPartition) bool

// terse is an error that the tool prints by its message alone.
const terse = "org.apache.kafka.tools.TerseException"

// byTopic selects from --topic and --partitions; either may be empty, which means all.
func byTopic(topic, partitions string) (selector, error) {
	if topic == "" {
		topic = ".*"
	}
	matches, err := client.TopicFilter(topic)
	if err != nil {
		return nil, err
	}
	var ids []int32
	if partitions != "" {
		for text := range strings.SplitSeq(partitions, ",") {
			id, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, &client.Error{Class: terse, Message: "--partitions expects a comma separated list of numeric " +
					"partition ids, but received: " + partitions}
			}
			ids = append(ids, int32(id))
		}
	}
	return func(tp meta.TopicPartition) bool {
		return matches(tp.Topic) && (ids == nil || slices.Contains(ids, tp.Partition))
	}, nil
}

// rule is one entry of --topic-partitions: a topic expression, then maybe a partition or a range of them.
var rule = regexp.MustCompile(`^([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?$`)

// byRules selects what any entry of --topic-partitions matches.
func byRules(list string) (selector, error) {
	var rules []selector
	for text := range strings.SplitSeq(list, ",") {
		m := rule.FindStringSubmatch(text)
		if m == nil {
			err := &client.Error{Class: terse, Message: "Invalid rule specification: " + text}
			return nil, &client.Error{Class: client.RuntimeException, Message: client.Describe(err), Cause: err}
		}
		topic := m[1]
		if topic == "" {
			topic = ".*"
		}
		matches, err := client.TopicFilter(topic)
		if err != nil {
			return nil, err
		}
		low, high, err := bounds(m)
		if err != nil {
			return nil, err
		}
		rules = append(rules, func(tp meta.TopicPartition) bool {
			return matches(tp.Topic) && int64(tp.Partition) >= low && int64(tp.Partition) < high
		})
	}
	return func(tp meta.TopicPartition) bool {
		return slices.ContainsFunc(rules, func(r selector) bool { return r(tp) })
	}, nil
}

// bounds returns the half-open range of partitions that a match of rule names.
func bounds(m []string) (low, high int64, err error) {
	number := func(text string, otherwise int64) int64 {
		if text == "" {
			return otherwise
		}
		n, parseErr := strconv.ParseInt(text, 10, 32)
		if parseErr != nil {
			err = &client.Error{Class: "java.lang.NumberFormatException", Message: `For input string: "` + text + `"`}
		}
		return n
	}
	if m[2] != "" {
		low = number(m[2], 0)
		return low, low + 1, err
	}
	low, high = number(m[3], 0), number(m[4], math.MaxInt32)
	return low, high, err
}

// Timestamps with a meaning of their own in ListOffsets, and the version of the API from which on they have it.
const (
	latest        = -1
	earliest      = -2
	maxTimestamp  = -3 // version 7, KIP-734
	earliestLocal = -4 // version 8, KIP-405
	latestTiered  = -5 // version 9, KIP-1005
)

func parseTime(text string) (int64, error) {
	switch text {
	case "latest":
		return latest, nil
	case "earliest":
		return earliest, nil
	case "max-timestamp":
		return maxTimestamp, nil
	case "earliest-local":
		return earliestLocal, nil
	case "latest-tiered":
		return latestTiered, nil
	}
	timestamp, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, &client.Error{Class: terse, Message: "Malformed time argument " + text + ". " +
			"Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered, or a specified long format timestamp"}
	}
	return timestamp, nil
}

// neededVersion is the lowest version of ListOffsets in which a timestamp means what it says.
func neededVersion(timestamp int64) int16 {
	switch timestamp {
	case maxTimestamp:
		return 7
	case earliestLocal:
		return 8
	case latestTiered:
		return 9
	}
	return 1
}
