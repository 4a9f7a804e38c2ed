package apiversions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/IBM/sarama"
)

// format lists a broker's APIs in the order of their keys, with the version this side would use of each.
func format(offered []sarama.ApiVersionsResponseKey) string {
	lines := map[int16]string{}
	for key, a := range known {
		if a.client {
			lines[int16(key)] = fmt.Sprintf("%s(%d): UNSUPPORTED", a.name, key)
		}
	}
	for _, o := range offered {
		lines[o.ApiKey] = line(o)
	}
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		texts = append(texts, lines[key])
	}
	return "(\n\t" + strings.Join(texts, ",\n\t") + "\n)"
}

func line(o sarama.ApiVersionsResponseKey) string {
	versions := fmt.Sprint(o.MinVersion)
	if o.MinVersion != o.MaxVersion {
		versions += fmt.Sprintf(" to %d", o.MaxVersion)
	}
	if o.ApiKey < 0 || int(o.ApiKey) >= len(known) {
		return fmt.Sprintf("UNKNOWN(%d): %s", o.ApiKey, versions)
	}
	a := known[o.ApiKey]
	usable := fmt.Sprintf("[usable: %d]", min(a.latest, o.MaxVersion))
	if a.latest < o.MinVersion {
		usable = "[unusable: node too new]"
	} else if o.MaxVersion < 0 {
		usable = "[unusable: node too old]"
	}
	return fmt.Sprintf("%s(%d): %s %s", a.name, o.ApiKey, versions, usable)
}
