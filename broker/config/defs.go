package config

import (
	"slices"
	"strings"
	"sync"
)

// Type is the type of a key's value. The numbers are those of DescribeConfigs.
type Type int8

const (
	Unknown  Type = 0
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

// String returns Kafka's name of the type, as its error messages spell it.
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return typeNames[0]
	}
	return typeNames[t]
}

// Scope says where a broker key may be changed while the broker runs (KIP-226).
type Scope int8

const (
	ReadOnly      Scope = iota // only in the file: needs a restart
	ClusterWide                // for the cluster or for one broker
	PerBrokerOnly              // for one broker
	PerListener                // for one broker, and only with the prefix listener.name.<listener>.
)

// Status says what kraal makes of a key.
type Status int8

const (
	Core     Status = iota // has its effect
	Full                   // has its effect where the feature it belongs to is there
	NoEffect               // belongs to the JVM, to KRaft or to tiered storage: checked and described, no more
)

// Importance is Kafka's grade of a key.
type Importance int8

const (
	High Importance = iota
	Medium
	Low
)

// Key is the definition of one config key.
type Key struct {
	Name       string
	Type       Type
	Default    any // nil: unset; a list is comma separated text
	Scope      Scope
	Status     Status
	Importance Importance
	Internal   bool     // described only when it is set in the file
	Broker     []string // of a topic key: the broker keys that hold its default, strongest first
	Doc        string

	valid validator // nil: anything of the type
}

// Sensitive reports whether values of the key are secrets.
func (k Key) Sensitive() bool { return k.Type == Password }

// table is a set of definitions, immutable once made.
type table struct {
	byName map[string]Key
	names  []string // sorted
}

func newTable(groups ...[]Key) *table {
	t := &table{byName: map[string]Key{}}
	for _, keys := range groups {
		for _, k := range keys {
			k.Default = typedDefault(k)
			t.byName[k.Name] = k
			t.names = append(t.names, k.Name)
		}
	}
	slices.Sort(t.names)
	return t
}

// The three tables: what the file may hold, what a topic may override, and what only /config/brokers may hold besides.
var (
	brokerTable = sync.OnceValue(func() *table {
		return newTable(keysZooKeeper(), keysNetwork(), keysLog(), keysReplication(), keysCoordination(), keysTLS(), keysSASL(), keysUnused(), keysKraal())
	})
	topicTable   = sync.OnceValue(func() *table { return newTable(keysTopic()) })
	dynamicTable = sync.OnceValue(func() *table { return newTable(keysDynamic()) })
)

// BrokerKeys returns the definitions of all broker keys, sorted by name.
func BrokerKeys() []Key { return brokerTable().keys() }

// TopicKeys returns the definitions of all topic keys, sorted by name.
func TopicKeys() []Key { return topicTable().keys() }

// BrokerKey returns the definition of a broker key; a listener.name. form has that of the key it stands for.
func BrokerKey(name string) (Key, bool) { return lookupBroker(name) }

// TopicKey returns the definition of a topic key.
func TopicKey(name string) (Key, bool) { return topicTable().lookup(name) }

func (t *table) keys() []Key {
	keys := make([]Key, 0, len(t.names))
	for _, name := range t.names {
		keys = append(keys, t.byName[name])
	}
	return keys
}

func (t *table) lookup(name string) (Key, bool) {
	k, ok := t.byName[name]
	return k, ok
}

// lookupBroker finds the definition that governs a name of the file or of /config/brokers (KafkaConfig.configType).
func lookupBroker(name string) (Key, bool) {
	if k, ok := brokerTable().lookup(name); ok {
		return k, true
	}
	if k, ok := dynamicTable().lookup(name); ok {
		return k, true
	}
	if _, base, ok := splitListenerKey(name); ok {
		return brokerTable().lookup(withoutMechanism(base))
	}
	return Key{}, false
}

// dynamic reports whether a key may be changed while the broker runs.
func (k Key) dynamic() bool { return k.Scope != ReadOnly }

// dynamicPasswords are the secrets that may be stored in ZooKeeper, encrypted there.
func isDynamicPassword(name string) bool {
	// Kafka goes by the suffix, which takes in listener and mechanism prefixes (DynamicBrokerConfig.isPasswordConfig).
	if k, ok := lookupBroker(name); ok && !strings.HasPrefix(name, listenerPrefix) {
		return k.Type == Password && k.dynamic()
	}
	for _, k := range brokerTable().byName {
		if k.Type == Password && k.dynamic() && strings.HasSuffix(name, k.Name) {
			return true
		}
	}
	return false
}

const listenerPrefix = "listener.name."

// splitListenerKey splits listener.name.<listener>.<rest>. The listener is as written, which is lower case.
func splitListenerKey(name string) (listener, rest string, ok bool) {
	after, ok := strings.CutPrefix(name, listenerPrefix)
	if !ok {
		return "", "", false
	}
	listener, rest, ok = strings.Cut(after, ".")
	return listener, rest, ok && rest != ""
}

// mechanismKeys may have a SASL mechanism between the listener prefix and the key.
var mechanismKeys = [...]string{
	"sasl.jaas.config", "sasl.login.callback.handler.class", "sasl.login.class",
	"sasl.server.callback.handler.class", "connections.max.reauth.ms",
}

// withoutMechanism strips the mechanism from what follows a listener prefix.
func withoutMechanism(rest string) string {
	for _, k := range mechanismKeys {
		if strings.HasSuffix(rest, k) {
			return k
		}
	}
	return rest
}

// synonymGroups are keys for one setting in several units, strongest first.
var synonymGroups = [...][]string{
	{"log.roll.ms", "log.roll.hours"},
	{"log.roll.jitter.ms", "log.roll.jitter.hours"},
	{"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
}

// synonyms returns the names under which the value of a broker key is looked for, strongest first
// (DynamicBrokerConfig.brokerConfigSynonyms).
func synonyms(name string) []string {
	for _, group := range synonymGroups {
		if slices.Contains(group, name) {
			return group
		}
	}
	if name == "log.flush.interval.ms" { // the scheduler interval is its default, but not the other way round
		return []string{name, "log.flush.scheduler.interval.ms"}
	}
	if _, rest, ok := splitListenerKey(name); ok {
		return []string{name, withoutMechanism(rest)}
	}
	return []string{name}
}
