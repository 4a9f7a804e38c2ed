package configs

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
)

// changes are entries to set and entries to remove.
type changes struct {
	add    map[string]string
	remove []string
}

func newChanges(c *cli.Context) (changes, error) {
	ch := changes{add: map[string]string{}}
	if c.IsSet("add-config-file") {
		p, err := client.ReadProperties(c.String("add-config-file"))
		if err != nil {
			return ch, err
		}
		maps.Copy(ch.add, p)
	}
	if c.IsSet("add-config") {
		pairs, err := parsePairs(c.String("add-config"))
		if err != nil {
			return ch, err
		}
		maps.Copy(ch.add, pairs)
	}
	for _, list := range c.StringSlice("delete-config") {
		for key := range strings.SplitSeq(list, ",") {
			ch.remove = append(ch.remove, strings.TrimSpace(key))
		}
	}
	for _, key := range ch.added() {
		if !validKey.MatchString(key) {
			return ch, illegal("Invalid character found for config key: %s", key)
		}
	}
	return ch, nil
}

var validKey = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)

// added returns the keys to set, sorted.
func (ch changes) added() []string { return slices.Sorted(maps.Keys(ch.add)) }

// parsePairs reads k1=v1,k2=[v1,v2]: commas and equals signs inside of brackets do not separate, and the brackets
// themselves, wherever they are, belong to no value.
func parsePairs(text string) (map[string]string, error) {
	pairs := map[string]string{}
	entries := splitOutside(text, ',')
	for len(entries) > 1 && entries[len(entries)-1] == "" {
		entries = entries[:len(entries)-1] // Java's String.split drops what is empty at the end
	}
	for _, entry := range entries {
		parts := splitOutside(entry, '=')
		if len(parts) != 2 {
			return nil, illegal(`requirement failed: Invalid entity config: all configs to be added must be in the format "key=val".`)
		}
		value := strings.NewReplacer("[", "", "]", "").Replace(parts[1])
		pairs[strings.TrimSpace(parts[0])] = strings.TrimSpace(value)
	}
	return pairs, nil
}

// splitOutside splits at separators that are not inside of brackets: those after which no ']' comes before the next '['.
func splitOutside(text string, separator byte) []string {
	var parts []string
	start := 0
	for i := range len(text) {
		if text[i] != separator {
			continue
		}
		if next := strings.IndexAny(text[i:], "[]"); next < 0 || text[i+next] == '[' {
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// setOf prints names as Scala does a Set, listOf as a mutable sequence.
func setOf(names []string) string  { return "Set(" + strings.Join(names, ", ") + ")" }
func listOf(names []string) string { return "ArrayBuffer(" + strings.Join(names, ", ") + ")" }

func filter(names []string, keep func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !keep(n) })
}
