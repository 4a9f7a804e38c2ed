package topics

import (
	"regexp"
	"strings"
)

// collides reports whether a name has characters that Kafka's metrics turn into one another.
func collides(topic string) bool { return strings.ContainsAny(topic, "._") }

const collisionWarning = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could " +
	"collide. To avoid issues it is best to use either, but not both."

// sameMetric reports whether two names look alike in Kafka's metrics.
func sameMetric(a, b string) bool {
	return strings.ReplaceAll(a, ".", "_") == strings.ReplaceAll(b, ".", "_")
}

var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

const maxName = 249

// validateName refuses, in the words of Kafka 2.8, names that no topic can have.
func validateName(name string) error {
	switch {
	case name == "":
		return problem(errTopic, "Topic name is illegal, it can't be empty")
	case name == "." || name == "..":
		return problem(errTopic, `Topic name cannot be "." or ".."`)
	case len(name) > maxName:
		return problem(errTopic, "Topic name is illegal, it can't be longer than %d characters, topic name: %s", maxName, name)
	case !legalName.MatchString(name):
		return problem(errTopic, "Topic name \"%s\" is illegal, it contains a character other than ASCII alphanumerics, '.', '_' and '-'", name)
	}
	return nil
}
