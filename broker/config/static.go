package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Static is the configuration of the file: levels 4 and 5. The embedded Config is what it amounts to.
type Static struct {
	*Config
	file map[string]string // the file and the overrides, broker.id and node.id completed
}

// Warning is something in the file worth telling the operator about that does not keep the broker from starting.
type Warning struct {
	Key     string
	Message string
}

func (w Warning) String() string { return w.Key + ": " + w.Message }

// Problem is something in the file that keeps the broker from starting.
type Problem struct {
	Key    string
	Value  string // hidden when the key is sensitive
	Reason string
}

func (p Problem) String() string { return fmt.Sprintf("%s=%s: %s", p.Key, p.Value, p.Reason) }

// LoadError is every problem of a file at once.
type LoadError struct{ Problems []Problem }

func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return "configuration: " + lines[0]
	}
	return fmt.Sprintf("configuration: %d problems\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// Load reads a properties file, lays the overrides over it (as given with --override key=value) and checks everything.
// The error is a [*LoadError] unless reading failed. Warnings are returned with an error too.
func Load(r io.Reader, overrides map[string]string) (*Static, []Warning, error) {
	props, err := ParseProperties(r)
	if err != nil {
		return nil, nil, err
	}
	for k, v := range overrides {
		props[k] = v
	}
	return FromMap(props)
}

// FromMap is Load without a file.
func FromMap(props map[string]string) (*Static, []Warning, error) {
	props, problems := resolveProviders(props)
	c, more := build(withoutDynamicKeys(props))
	problems = append(problems, more...)
	problems = slices.DeleteFunc(problems, func(p Problem) bool {
		_, given := props[p.Key]
		return p.Key == "node.id" && !given // it has broker.id's value, which is a problem of its own
	})
	ws := warnings(props, c)
	if len(problems) > 0 {
		return nil, ws, &LoadError{Problems: problems}
	}
	return &Static{Config: c, file: withIDs(props)}, ws, nil
}

// withoutDynamicKeys drops what is read only from ZooKeeper, not from the file.
func withoutDynamicKeys(props map[string]string) map[string]string {
	out := make(map[string]string, len(props))
	for k, v := range props {
		if _, ok := dynamicTable().lookup(k); !ok {
			out[k] = v
		}
	}
	return out
}
