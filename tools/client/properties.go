package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/magiconair/properties"
)

// Properties are a Java client's settings, by Kafka's names.
type Properties map[string]string

// ReadProperties reads a file in the Java properties format.
func ReadProperties(file string) (Properties, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Class: NoSuchFile, Message: file, Cause: nil}
	} else if err != nil {
		return nil, err
	}
	return ParseProperties(text)
}

// ParseProperties reads text in the Java properties format.
func ParseProperties(text []byte) (Properties, error) {
	loader := properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}
	p, err := loader.LoadBytes(text)
	if err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	return p.Map(), nil
}

// duration reads a setting in milliseconds.
func (p Properties) duration(key string, fallback time.Duration) (time.Duration, error) {
	text := strings.TrimSpace(p[key])
	if text == "" {
		return fallback, nil
	}
	ms, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, invalid(key, text, "Not a number of type INT")
	}
	if ms < 0 {
		return 0, invalid(key, text, "Value must be at least 0")
	}
	return time.Duration(ms) * time.Millisecond, nil
}

func (p Properties) text(key, fallback string) string {
	if v, ok := p[key]; ok && strings.TrimSpace(v) != "" {
		return strings.TrimSpace(v)
	}
	return fallback
}

func invalid(key, value, why string) error {
	return &Error{Class: ConfigException, Message: fmt.Sprintf("Invalid value %s for configuration %s: %s", value, key, why)}
}
