package topics

import (
	"regexp"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
)

// newFilter returns what --topic matches: everything if it is not set, else a regular expression that must match the
// whole name. As in Kafka, blanks do not count, a comma means "or", and quotes around it are dropped.
func newFilter(expression string, set bool) (func(topic string) bool, error) {
	if !set {
		return func(string) bool { return true }, nil
	}
	text := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(expression), ",", "|"), " ", "")
	text = strings.Trim(text, `"'`)
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, &client.Error{Class: "java.lang.RuntimeException", Message: text + " is an invalid regex."}
	}
	return re.MatchString, nil
}

// isInternal knows the internal topics that clients are told about (org.apache.kafka.common.internals.Topic).
func isInternal(topic string) bool {
	switch topic {
	case "__consumer_offsets", "__transaction_state", "__share_group_state":
		return true
	}
	return false
}

// collides reports whether a name has the characters that Kafka's metrics turn into one another.
func collides(topic string) bool { return strings.ContainsAny(topic, "._") }

const collisionWarning = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could " +
	"collide. To avoid issues it is best to use either, but not both."
