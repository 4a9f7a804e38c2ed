package record

import (
	"errors"
	"fmt"
)

// What can be wrong with records, beside ErrTruncated and ErrCorrupt. Errors
// of this package wrap one of these.
var (
	// ErrInvalidRecord means that the bytes arrived as they were sent, but
	// break a rule of the format or of the topic.
	ErrInvalidRecord = errors.New("record: invalid record")
	// ErrInvalidMagic, ErrInvalidOffset and ErrNoKey are the kinds of ErrInvalidRecord that Kafka counts: message formats that do not go
	// together; counts, offsets and sequences that do not; a record without a key where the topic is compacted.
	ErrInvalidMagic  = fmt.Errorf("%w", ErrInvalidRecord)
	ErrInvalidOffset = fmt.Errorf("%w", ErrInvalidRecord)
	ErrNoKey         = fmt.Errorf("%w", ErrInvalidRecord)
	// ErrInvalidTimestamp means a timestamp outside of what the topic takes.
	ErrInvalidTimestamp = errors.New("record: invalid timestamp")
	// ErrMessageTooLarge means a batch above max.message.bytes, or one that
	// decompresses to more than anybody should have to hold.
	ErrMessageTooLarge = errors.New("record: message too large")
	// ErrUnsupportedCompression means a codec that the protocol or message
	// format in question does not have.
	ErrUnsupportedCompression = errors.New("record: unsupported compression type")
	// ErrUnknownCodec is the ErrUnsupportedCompression of codec numbers that
	// nobody has given a meaning; Kafka answers them differently.
	ErrUnknownCodec = fmt.Errorf("%w: unknown codec", ErrUnsupportedCompression)
)

// RecordError says what is wrong with one record of a batch (KIP-467).
type RecordError struct {
	Index   int32 // within the batch
	Message string
}

// maxRecordErrors bounds the list: a few compressed bytes can stand for
// millions of invalid records.
const maxRecordErrors = 10_000

// InvalidRecordsError refuses a batch because of some of its records.
type InvalidRecordsError struct {
	// Kind is ErrInvalidTimestamp if any record has that problem, otherwise
	// a kind of ErrInvalidRecord. errors.Is finds it.
	Kind   error
	Errors []RecordError
	// Count is how many records are invalid, and ByKind how many of each kind; Errors has the first ones.
	Count  int
	ByKind map[error]int
}

func (e *InvalidRecordsError) Error() string {
	return fmt.Sprintf("%v: %d records rejected, record %d: %s", e.Kind, e.Count, e.Errors[0].Index, e.Errors[0].Message)
}

// Unwrap gives the kind.
func (e *InvalidRecordsError) Unwrap() error { return e.Kind }

func (e *InvalidRecordsError) add(kind error, index int32, message string) {
	if kind == ErrInvalidTimestamp || e.Kind == nil {
		e.Kind = kind
	}
	if len(e.Errors) < maxRecordErrors {
		e.Errors = append(e.Errors, RecordError{index, message})
	}
	e.Count++
	if e.ByKind == nil {
		e.ByKind = map[error]int{}
	}
	e.ByKind[kind]++
}

func invalidf(format string, args ...any) error { return kindf(ErrInvalidRecord, format, args...) }

func kindf(kind error, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{kind}, args...)...)
}

var errInnerCRC = fmt.Errorf("%w: checksum of an inner message", ErrCorrupt)
