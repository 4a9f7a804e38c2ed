package jaas

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// FileProperty is the Java system property that names a login configuration.
const FileProperty = "java.security.auth.login.config"

// maxFile bounds what is read of a file that cannot be one.
const maxFile = 1 << 20

// File is a login configuration. The nil File has no sections.
type File struct {
	name     string
	sections map[string][]Module
}

// Open reads the file that Java system properties name. Without the property there is none, and the result is nil.
func Open(system map[string]string) (*File, error) {
	// With == in place of = the file is to be the only one; here it always is.
	name := strings.TrimPrefix(system[FileProperty], "=")
	if name == "" {
		return nil, nil
	}
	name, err := expand(name, system)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", FileProperty, system[FileProperty], err)
	}
	if u, err := url.Parse(name); err == nil && u.Scheme == "file" {
		name = u.Path
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FileProperty, err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s=%s is no login configuration: it has %d bytes", FileProperty, name, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FileProperty, err)
	}
	f, err := Parse(string(text), system)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", FileProperty, name, err)
	}
	f.name = name
	return f, nil
}

// Parse reads the text of a login configuration. ${property} stands for the system property of that name.
func Parse(text string, system map[string]string) (*File, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	f := &File{sections: map[string][]Module{}}
	for len(tokens) > 0 {
		if len(tokens) < 2 || !tokens[0].word() || !tokens[1].is("{") {
			return nil, fmt.Errorf("%q where NAME { is due", tokens[0].text)
		}
		name := tokens[0].text
		if _, twice := f.sections[name]; twice {
			return nil, fmt.Errorf("section %s is there twice", name)
		}
		modules := []Module{}
		for tokens = tokens[2:]; ; {
			if len(tokens) == 0 {
				return nil, fmt.Errorf("section %s is not closed", name)
			}
			if tokens[0].is("}") {
				break
			}
			var m Module
			if m, tokens, err = parseModule(tokens); err != nil {
				return nil, fmt.Errorf("section %s: %w", name, err)
			}
			for key, value := range m.Options {
				if m.Options[key], err = expand(value, system); err != nil {
					return nil, fmt.Errorf("section %s: %s: %w", name, key, err)
				}
			}
			modules = append(modules, m)
		}
		if len(tokens) < 2 || !tokens[1].is(";") {
			return nil, fmt.Errorf("section %s does not end with };", name)
		}
		if len(modules) == 0 {
			return nil, fmt.Errorf("section %s names no login module", name)
		}
		f.sections[name] = modules
		tokens = tokens[2:]
	}
	return f, nil
}

// Name is the file's path.
func (f *File) Name() string { return f.name }

// Section returns the modules of a section, at least one, or nil if there is no such section.
func (f *File) Section(name string) []Module {
	if f == nil {
		return nil
	}
	return f.sections[name]
}

var reference = regexp.MustCompile(`\$\{[^{}]*\}`)

var errNoProperty = errors.New("no such system property")

func expand(text string, system map[string]string) (string, error) {
	var err error
	text = reference.ReplaceAllStringFunc(text, func(ref string) string {
		name := ref[2 : len(ref)-1]
		value, ok := system[name]
		switch {
		case name == "/":
			return string(os.PathSeparator)
		case !ok && name == "user.home":
			value, _ = os.UserHomeDir()
		case !ok:
			err = fmt.Errorf("%s: %w", ref, errNoProperty)
		}
		return value
	})
	return text, err
}
