package jaas

import "strings"

// SystemProperties are the -Dkey=value among the options of a Java machine, such as KAFKA_OPTS holds them for Kafka's scripts,
// which take them apart at blanks. The last of several counts.
func SystemProperties(options string) map[string]string {
	properties := map[string]string{}
	for _, o := range strings.Fields(options) {
		if definition, ok := strings.CutPrefix(o, "-D"); ok {
			key, value, _ := strings.Cut(definition, "=")
			properties[key] = value
		}
	}
	return properties
}
