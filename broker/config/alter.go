package config

// OpType is what an incremental alteration does (KIP-339). The numbers are those of the protocol.
type OpType int8

const (
	OpSet      OpType = 0
	OpDelete   OpType = 1
	OpAppend   OpType = 2 // to a list
	OpSubtract OpType = 3 // from a list
)

// Op is one incremental alteration.
type Op struct {
	Name  string
	Type  OpType
	Value *string // nil only for OpDelete
}

// SetOps turns the complete set of a legacy AlterConfigs into operations, for [CheckOps].
func SetOps(names []string, values []*string) []Op { panic("declared") }

// CheckOps makes the checks that need nothing but the request: a key twice, a missing value. Kind [ErrInvalidRequest].
func CheckOps(ops []Op) error { panic("declared") }

// AlterTopic applies ops to a topic's stored overrides and returns the set to store, validated. stored is not changed.
// Errors are [*Error]: [ErrInvalidConfig], or [ErrUnknownOperation].
func (d *Dynamic) AlterTopic(topic string, stored map[string]string, ops []Op) (map[string]string, error) {
	panic("declared")
}

// ReplaceTopic validates the complete set of a legacy AlterConfigs for a topic.
func (d *Dynamic) ReplaceTopic(topic string, stored, props map[string]string) error {
	panic("declared")
}

// AlterBroker applies ops to what is stored at level and returns the set to store, validated, passwords encrypted.
// Errors are [*Error]: [ErrInvalidRequest], [ErrInvalidConfig] or [ErrUnknownOperation].
func (d *Dynamic) AlterBroker(level Level, stored map[string]string, ops []Op) (map[string]string, error) {
	panic("declared")
}

// ReplaceBroker is AlterBroker for the complete set of a legacy AlterConfigs.
func (d *Dynamic) ReplaceBroker(level Level, props map[string]string) (map[string]string, error) {
	panic("declared")
}

// CheckLoggerOps judges alterations of a BROKER_LOGGER resource; exists tells known loggers. It returns nothing new:
// a caller applies OpSet (levels are in [LogLevels]) and OpDelete itself.
func CheckLoggerOps(ops []Op, exists func(logger string) bool) error { panic("declared") }

// LogLevels returns the level names of BROKER_LOGGER resources, from the quietest to the most talkative.
func LogLevels() []string { panic("declared") }

// RootLogger is the name under which the root logger is described and altered.
const RootLogger = "root"
