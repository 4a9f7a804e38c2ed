package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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

// SetOps turns the complete set of a legacy AlterConfigs into operations, for [CheckOps]. There is a value for every name.
func SetOps(names []string, values []*string) []Op {
	ops := make([]Op, len(names))
	for i, name := range names {
		ops[i] = Op{Name: name, Type: OpSet, Value: values[i]}
	}
	return ops
}

// CheckOps makes the checks that need nothing but the request: a key twice, a missing value. Kind [ErrInvalidRequest].
func CheckOps(ops []Op) error {
	seen := make(map[string]bool, len(ops))
	var missing []string
	for _, op := range ops {
		if seen[op.Name] {
			return invalidRequest("Error due to duplicate config keys")
		}
		seen[op.Name] = true
		if op.Value == nil && op.Type != OpDelete {
			missing = append(missing, op.Name)
		}
	}
	if len(missing) > 0 {
		return invalidRequest("Null value not supported for : %s", strings.Join(missing, ", "))
	}
	return nil
}

// AlterTopic applies ops, which have passed [CheckOps], to a topic's stored overrides and returns the set to store,
// validated. stored is not changed. Errors are [*Error]: [ErrInvalidConfig], or [ErrUnknownOperation].
func (d *Dynamic) AlterTopic(topic string, stored map[string]string, ops []Op) (map[string]string, error) {
	props, err := applyOps(stored, ops, func(name string) (Key, error) {
		k, ok := topicTable().lookup(name)
		if !ok {
			return k, unknownTopicKey(name)
		}
		return k, nil
	})
	if err != nil {
		return nil, err
	}
	return props, d.ReplaceTopic(topic, stored, props)
}

// ReplaceTopic validates the complete set of a legacy AlterConfigs for a topic that has something stored already.
func (d *Dynamic) ReplaceTopic(topic string, _, props map[string]string) error {
	err := d.Current().validateTopic(props)
	if refusal := (*Error)(nil); err == nil || errors.As(err, &refusal) {
		return err
	}
	return invalidConfig("Invalid config value for resource ConfigResource(type=TOPIC, name='%s'): %v", topic, err)
}

// AlterBroker applies ops, which have passed [CheckOps], to what is stored at level and returns the set to store,
// validated, passwords encrypted. Errors are [*Error]: [ErrInvalidRequest] or [ErrInvalidConfig].
func (d *Dynamic) AlterBroker(level Level, stored map[string]string, ops []Op) (map[string]string, error) {
	for _, op := range ops {
		if op.Type < OpSet || op.Type > OpSubtract {
			return nil, invalidRequest("Unknown operations type %d", op.Type)
		}
	}
	props, err := applyOps(d.FromStored(level, stored), ops, func(name string) (Key, error) {
		k, ok := lookupBroker(name)
		if !ok {
			return k, invalidConfig("Unknown config name: %s", name)
		}
		return k, nil
	})
	if err != nil {
		return nil, err
	}
	return d.ReplaceBroker(level, props)
}

// ReplaceBroker is AlterBroker for the complete set of a legacy AlterConfigs.
func (d *Dynamic) ReplaceBroker(level Level, props map[string]string) (map[string]string, error) {
	if err := d.Validate(level, props); err != nil {
		return nil, err
	}
	return d.ToStored(level, props)
}

// applyOps returns props after ops. Lists are compared as text, item by item (ConfigAdminManager.prepareIncrementalConfigs).
func applyOps(props map[string]string, ops []Op, definition func(name string) (Key, error)) (map[string]string, error) {
	props = maps.Clone(props)
	if props == nil {
		props = map[string]string{}
	}
	for _, op := range ops {
		value := ""
		if op.Value != nil {
			value = *op.Value
		}
		switch op.Type {
		case OpSet:
			props[op.Name] = value
		case OpDelete:
			delete(props, op.Name)
		case OpAppend, OpSubtract:
			k, err := definition(op.Name)
			if err != nil {
				return nil, err
			}
			word := map[OpType]string{OpAppend: "append", OpSubtract: "subtract"}[op.Type]
			if k.Type != List {
				return nil, invalidConfig("Config value %s is not allowed for config key: %s", word, op.Name)
			}
			base, ok := props[op.Name]
			if !ok {
				base = format(k.Default)
			}
			props[op.Name] = changeList(op.Type, items(base), items(value))
		default:
			return nil, &Error{Kind: ErrUnknownOperation, Message: fmt.Sprintf("Unknown operation %d on %s", op.Type, op.Name)}
		}
	}
	return props, nil
}

// changeList appends what is not there yet, or takes away each item once.
func changeList(op OpType, list, change []string) string {
	for _, item := range change {
		i := slices.Index(list, item)
		switch {
		case op == OpAppend && i < 0:
			list = append(list, item)
		case op == OpSubtract && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}

// items splits a list as stored; empty text is the empty list.
func items(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// RootLogger is the name under which the root logger is described and altered.
const RootLogger = "root"

// LogLevels returns the level names of BROKER_LOGGER resources, from the quietest to the most talkative.
func LogLevels() []string { return []string{"FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"} }

// CheckLoggerOps judges alterations of a BROKER_LOGGER resource that have passed [CheckOps]; exists tells known
// loggers. The caller then carries them out: OpSet to one of [LogLevels], OpDelete back to the level of the parent.
// Errors are [*Error]: [ErrInvalidRequest] or [ErrInvalidConfig] (RuntimeLoggerManager.java).
func CheckLoggerOps(ops []Op, exists func(logger string) bool) error {
	for _, op := range ops {
		switch op.Type {
		case OpSet, OpDelete:
		case OpAppend:
			return invalidRequest("APPEND operation is not allowed for the BROKER_LOGGER resource")
		case OpSubtract:
			return invalidRequest("SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
		default:
			return invalidRequest("Unknown operation type %d is not allowed for the BROKER_LOGGER resource", op.Type)
		}
		if !exists(op.Name) {
			return invalidConfig("Logger %s does not exist!", op.Name)
		}
		if op.Type == OpDelete {
			if op.Name == RootLogger {
				return invalidRequest("Removing the log level of the %s logger is not allowed", RootLogger)
			}
			continue
		}
		if !slices.Contains(LogLevels(), *op.Value) {
			return invalidConfig("Cannot set the log level of %s to %s as it is not a supported log level. Valid log levels are %s",
				op.Name, *op.Value, strings.Join(slices.Sorted(slices.Values(LogLevels())), ", "))
		}
	}
	return nil
}
