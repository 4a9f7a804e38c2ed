package client

import (
	"errors"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Error is a failure under the name scripts know it by: the class of the exception that Kafka's tools print.
type Error struct {
	Class   string
	Message string
	Code    int16 // the broker's error code, 0 if the failure is not a broker's
	Cause   error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Cause }

// Names of exceptions that have no error code.
const (
	RuntimeException    = "java.lang.RuntimeException"
	IllegalArgument     = "java.lang.IllegalArgumentException"
	NoSuchFile          = "java.nio.file.NoSuchFileException"
	ConfigException     = "org.apache.kafka.common.config.ConfigException"
	KafkaException      = "org.apache.kafka.common.KafkaException"
	TimeoutException    = errorsPackage + "TimeoutException"
	DisconnectException = errorsPackage + "DisconnectException"
	UnsupportedVersion  = errorsPackage + "UnsupportedVersionException"
	SASLAuthentication  = errorsPackage + "SaslAuthenticationException"
	SSLAuthentication   = errorsPackage + "SslAuthenticationException"

	errorsPackage = "org.apache.kafka.common.errors."
)

// FromCode returns the error for a broker's code with the message that came with it, or the code's own if none did, and
// nil for code 0.
func FromCode(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	e := &Error{Class: ClassOf(code), Code: code, Message: kerr.TypedErrorForCode(code).Description}
	if message != nil {
		e.Message = *message
	}
	return e
}

// FromKError is FromCode for sarama's codes.
func FromKError(code sarama.KError, message *string) error { return FromCode(int16(code), message) }

// HasCode reports whether err is a broker's answer with this code.
func HasCode(err error, code sarama.KError) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == int16(code)
}

// irregular names the exceptions that are not called after their code (org.apache.kafka.common.protocol.Errors).
var irregular = map[string]string{
	"UNKNOWN_SERVER_ERROR":                  "UnknownServerException",
	"CORRUPT_MESSAGE":                       "CorruptRecordException",
	"REQUEST_TIMED_OUT":                     "TimeoutException",
	"MESSAGE_TOO_LARGE":                     "RecordTooLargeException",
	"STALE_CONTROLLER_EPOCH":                "ControllerMovedException",
	"OFFSET_METADATA_TOO_LARGE":             "OffsetMetadataTooLarge",
	"NETWORK_EXCEPTION":                     "NetworkException",
	"INVALID_TOPIC_EXCEPTION":               "InvalidTopicException",
	"RECORD_LIST_TOO_LARGE":                 "RecordBatchTooLargeException",
	"TOPIC_AUTHORIZATION_FAILED":            "TopicAuthorizationException",
	"GROUP_AUTHORIZATION_FAILED":            "GroupAuthorizationException",
	"CLUSTER_AUTHORIZATION_FAILED":          "ClusterAuthorizationException",
	"TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "TransactionalIdAuthorizationException",
	"DELEGATION_TOKEN_AUTHORIZATION_FAILED": "DelegationTokenAuthorizationException",
	"TOPIC_ALREADY_EXISTS":                  "TopicExistsException",
	"INVALID_CONFIG":                        "InvalidConfigurationException",
	"OUT_OF_ORDER_SEQUENCE_NUMBER":          "OutOfOrderSequenceException",
	"DUPLICATE_SEQUENCE_NUMBER":             "DuplicateSequenceException",
	"INVALID_PRODUCER_ID_MAPPING":           "InvalidPidMappingException",
	"INVALID_TRANSACTION_TIMEOUT":           "InvalidTxnTimeoutException",
	"KAFKA_STORAGE_ERROR":                   "KafkaStorageException",
	"SASL_AUTHENTICATION_FAILED":            "SaslAuthenticationException",
	"DELEGATION_TOKEN_AUTH_DISABLED":        "DelegationTokenDisabledException",
	"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED":  "UnsupportedByAuthenticationException",
	"NON_EMPTY_GROUP":                       "GroupNotEmptyException",
	"PRINCIPAL_DESERIALIZATION_FAILURE":     "PrincipalDeserializationException",
	"FETCH_SESSION_TOPIC_ID_ERROR":          "FetchSessionTopicIdException",
	"NOT_LEADER_FOR_PARTITION":              "NotLeaderOrFollowerException",
}

// ClassOf names the exception that Kafka's Java client makes of an error code.
func ClassOf(code int16) string {
	name := "UNKNOWN_SERVER_ERROR"
	if e := kerr.TypedErrorForCode(code); e != nil {
		name = e.Message
	}
	if name == "INVALID_RECORD" {
		return "org.apache.kafka.common.InvalidRecordException"
	}
	if class, ok := irregular[name]; ok {
		return errorsPackage + class
	}
	var class strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		class.WriteString(word[:1] + strings.ToLower(word[1:]))
	}
	return errorsPackage + class.String() + "Exception"
}

// Describe is an error as Java's Throwable.toString prints it: class and message.
func Describe(err error) string {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return RuntimeException + ": " + err.Error()
	case e.Message == "" && e.Code == 0: // a null message, whereas brokers send empty ones
		return e.Class
	}
	return e.Class + ": " + e.Message
}

// Trace is a printed stack trace without its frames: the error and what caused it, a line each.
func Trace(err error) string {
	text := Describe(err)
	for e := new(Error); errors.As(err, &e) && e.Cause != nil; e = new(Error) {
		err = e.Cause
		text += "\nCaused by: " + Describe(err)
	}
	return text
}

// Execution wraps an error the way a Java future does: ExecutionException, with the error's description as message.
func Execution(err error) error {
	return &Error{Class: "java.util.concurrent.ExecutionException", Message: Describe(err), Cause: err}
}
