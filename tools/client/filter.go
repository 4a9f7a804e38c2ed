package client

import (
	"regexp"
	"strings"
)

// TopicFilter matches whole topic names against a regular expression. As in Kafka's tools, blanks in it do not count,
// a comma means "or", and quotes around it are dropped.
func TopicFilter(expression string) (func(topic string) bool, error) {
	text := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(expression), ",", "|"), " ", "")
	text = strings.Trim(text, `"'`)
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, &Error{Class: RuntimeException, Message: text + " is an invalid regex."}
	}
	return re.MatchString, nil
}

// IsInternal knows the internal topics that clients are told about (org.apache.kafka.common.internals.Topic).
func IsInternal(topic string) bool {
	switch topic {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}
