package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const providersKey = "config.providers"

// A variable is ${provider:key} or ${provider:path:key} (ConfigTransformer.java, KIP-297, KIP-421).
var variable = regexp.MustCompile(`\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`)

// provider looks a key up below a path.
type provider func(path, key string) (value string, found bool, err error)

// resolveProviders replaces the variables of the file. The three providers that come with Kafka are known by their
// Java class names; a variable that nobody provides stays as it is.
func resolveProviders(props map[string]string) (map[string]string, []Problem) {
	var problems []Problem
	providers := map[string]provider{}
	for _, name := range csv(props[providersKey]) {
		key := providersKey + "." + name + ".class"
		param := func(p string) string { return props[providersKey+"."+name+".param."+p] }
		var err error
		switch class := trim(props[key]); class {
		case "org.apache.kafka.common.config.provider.FileConfigProvider":
			providers[name] = fromFile(param("allowed.paths"))
		case "org.apache.kafka.common.config.provider.DirectoryConfigProvider":
			providers[name] = fromDirectory(param("allowed.paths"))
		case "org.apache.kafka.common.config.provider.EnvVarConfigProvider":
			providers[name], err = fromEnvironment(param("allowlist.pattern"))
		default:
			err = fmt.Errorf("Could not load config provider class: only those for files, directories and environment variables are built in")
		}
		if err != nil {
			delete(providers, name)
			problems = append(problems, Problem{Key: key, Value: props[key], Reason: err.Error()})
		}
	}
	if len(providers) == 0 {
		return props, problems
	}
	out := make(map[string]string, len(props))
	for key, text := range props {
		out[key] = variable.ReplaceAllStringFunc(text, func(match string) string {
			m := variable.FindStringSubmatch(match)
			p, ok := providers[m[1]]
			if !ok {
				return match
			}
			value, found, err := p(m[3], m[4])
			if err != nil {
				problems = append(problems, Problem{Key: key, Value: match, Reason: err.Error()})
			}
			if !found {
				return match
			}
			return value
		})
	}
	return out, problems
}

// fromFile reads a key of a properties file. Other than the broker's file it is UTF-8.
func fromFile(allowed string) provider {
	return func(path, key string) (string, bool, error) {
		if path == "" || !pathAllowed(allowed, path) {
			return "", false, nil
		}
		f, err := os.Open(path)
		if err != nil {
			return "", false, fmt.Errorf("Could not read properties from file %s", path)
		}
		defer f.Close()
		props, err := parseProperties(f, true)
		if err != nil {
			return "", false, fmt.Errorf("file %s: %w", path, err)
		}
		value, ok := props[key]
		return value, ok, nil
	}
}

// fromDirectory reads the file named key.
func fromDirectory(allowed string) provider {
	return func(path, key string) (string, bool, error) {
		if path == "" || key != filepath.Base(key) || !pathAllowed(allowed, path) {
			return "", false, nil
		}
		name := filepath.Join(path, key)
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			return "", false, nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return "", false, fmt.Errorf("Could not read file %s for property %s", name, key)
		}
		return string(text), true, nil
	}
}

func fromEnvironment(pattern string) (provider, error) {
	if pattern == "" {
		pattern = ".*"
	}
	allowed, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("allowlist.pattern: %w", err)
	}
	return func(path, key string) (string, bool, error) {
		if path != "" {
			return "", false, fmt.Errorf("Path is not supported for EnvVarConfigProvider, invalid value '%s'", path)
		}
		if !allowed.MatchString(key) {
			return "", false, nil
		}
		value, ok := os.LookupEnv(key)
		return value, ok, nil
	}, nil
}

// pathAllowed reports whether path lies below one of the allowed ones; none named allows all (KIP-993).
func pathAllowed(allowed, path string) bool {
	if allowed == "" {
		return true
	}
	path = filepath.Clean(path)
	return slices.ContainsFunc(csv(allowed), func(dir string) bool {
		dir = filepath.Clean(dir)
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
	})
}
