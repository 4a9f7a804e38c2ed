package topics

import "strings"

// collides reports whether a name has characters that Kafka's metrics turn into one another.
func collides(topic string) bool { return strings.ContainsAny(topic, "._") }

const collisionWarning = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could " +
	"collide. To avoid issues it is best to use either, but not both."
