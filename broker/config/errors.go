package config

import (
	"errors"
	"fmt"
)

// The kinds of [*Error], for errors.Is. What each becomes on the wire is for the api package to say.
var (
	ErrInvalidConfig    = errors.New("invalid config")    // INVALID_CONFIG
	ErrInvalidRequest   = errors.New("invalid request")   // INVALID_REQUEST
	ErrUnknownOperation = errors.New("unknown operation") // UNKNOWN_SERVER_ERROR without message, as Kafka answers it
)

// Error is a refusal whose text is meant for the client as it stands.
type Error struct {
	Kind    error // one of the Err variables
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes errors.Is(err, config.ErrInvalidConfig) work.
func (e *Error) Unwrap() error { return e.Kind }

func invalidConfig(format string, args ...any) error {
	return &Error{ErrInvalidConfig, fmt.Sprintf(format, args...)}
}

func invalidRequest(format string, args ...any) error {
	return &Error{ErrInvalidRequest, fmt.Sprintf(format, args...)}
}
