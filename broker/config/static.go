package config

import "io"

// Static is the configuration of the file: levels 4 and 5. The embedded Config is what it amounts to.
type Static struct {
	*Config
	props map[string]string // the file and the overrides, as text
}

// Warning is something in the file worth telling the operator about that does not keep the broker from starting.
type Warning struct {
	Key     string
	Message string
}

// Problem is something in the file that keeps the broker from starting.
type Problem struct {
	Key    string // empty when several keys are to blame
	Value  string // hidden when the key is sensitive
	Reason string
}

// LoadError is every problem of a file at once.
type LoadError struct{ Problems []Problem }

func (e *LoadError) Error() string { panic("declared") }

// Load reads a properties file, lays the overrides over it (as given with --override key=value) and checks everything.
// The error is a [*LoadError] unless reading failed.
func Load(r io.Reader, overrides map[string]string) (*Static, []Warning, error) { panic("declared") }

// FromMap is Load without a file.
func FromMap(props map[string]string) (*Static, []Warning, error) { panic("declared") }

// ParseProperties reads Java properties text: # and ! comments, = : or blank as separator, continued lines, \uXXXX;
// the last of several equal keys wins. ${} is not expanded.
func ParseProperties(r io.Reader) (map[string]string, error) { panic("declared") }

// ParseOverride splits "key=value" of a command line.
func ParseOverride(s string) (key, value string, err error) { panic("declared") }
