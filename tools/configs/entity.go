package configs

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// Entity types, as --entity-type spells them.
const (
	topics        = "topics"
	clients       = "clients"
	users         = "users"
	brokers       = "brokers"
	ips           = "ips"
	brokerLoggers = "broker-loggers"
	clientMetrics = "client-metrics"
)

var (
	brokerTypes    = []string{topics, clients, users, brokers, ips, brokerLoggers, clientMetrics}
	zookeeperTypes = []string{users, brokers}
)

// entity is whose configuration is meant. The nth name belongs to the nth type; an empty name is the default entity.
// Names may be fewer than types when describing: all entities of that type.
type entity struct {
	types, names []string
}

// nameList collects --entity-name and --entity-default in the order they were given, which decides what type each
// belongs to.
type nameList struct{ names []string }

func (l *nameList) named() cli.Generic     { return &nameFlag{list: l} }
func (l *nameList) defaulted() cli.Generic { return &nameFlag{list: l, isDefault: true} }

type nameFlag struct {
	list      *nameList
	isDefault bool
}

func (f *nameFlag) IsBoolFlag() bool { return f.isDefault }
func (f *nameFlag) String() string   { return "" }
func (f *nameFlag) Set(name string) error {
	if f.isDefault {
		name = ""
	}
	f.list.names = append(f.list.names, name)
	return nil
}

// short are the options that stand for a type and a name, shortDefaults those for a type and its default entity.
var (
	short         = [][2]string{{"topic", topics}, {"client", clients}, {"user", users}, {"broker", brokers}, {"broker-logger", brokerLoggers}, {"ip", ips}}
	shortDefaults = [][2]string{{"client-defaults", clients}, {"user-defaults", users}, {"broker-defaults", brokers}, {"ip-defaults", ips}}
)

func newEntity(c *cli.Context, names *nameList) (entity, error) {
	e := entity{types: slices.Clone(c.StringSlice("entity-type")), names: slices.Clone(names.names)}
	abbreviated := false
	for _, s := range short {
		if c.IsSet(s[0]) {
			abbreviated, e.types, e.names = true, append(e.types, s[1]), append(e.names, c.String(s[0]))
		}
	}
	for _, s := range shortDefaults {
		if c.IsSet(s[0]) {
			abbreviated, e.types, e.names = true, append(e.types, s[1]), append(e.names, "")
		}
	}
	if abbreviated && (c.IsSet("entity-type") || len(names.names) > 0) {
		return e, illegal("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
	}
	return e, nil
}

func (e entity) has(kind string) bool { return slices.Contains(e.types, kind) }

func (e entity) hasName() bool {
	return slices.ContainsFunc(e.names, func(n string) bool { return n != "" })
}

func (e entity) hasDefault() bool { return slices.Contains(e.names, "") }

// check refuses what does not go together.
func check(c *cli.Context, e entity) error {
	if c.IsSet("alter") == c.IsSet("describe") {
		return usageError("Command must include exactly one action: --describe, --alter")
	}
	for _, name := range []string{"add-config", "delete-config"} {
		if c.IsSet("describe") && c.IsSet(name) {
			return usageError(`Option "[describe]" can't be used with option "[` + name + `]"`)
		}
	}
	for _, step := range []func(*cli.Context, entity) error{checkTypes, checkConnection, checkNames, checkAlter} {
		if err := step(c, e); err != nil {
			return err
		}
	}
	return nil
}

func checkTypes(c *cli.Context, e entity) error {
	var duplicates []string
	for i, kind := range e.types {
		if slices.Contains(e.types[:i], kind) {
			duplicates = append(duplicates, kind)
		}
	}
	if len(duplicates) > 0 {
		return illegal("Duplicate entity type(s) specified: %s", strings.Join(duplicates, ","))
	}
	allowed, connection := zookeeperTypes, "--zookeeper"
	if c.IsSet("bootstrap-server") || c.IsSet("bootstrap-controller") {
		allowed, connection = brokerTypes, "--bootstrap-server or --bootstrap-controller"
	}
	for _, kind := range e.types {
		if !slices.Contains(allowed, kind) {
			return illegal("Invalid entity type %s, the entity type must be one of %s with a %s argument", kind, strings.Join(allowed, ", "), connection)
		}
	}
	switch {
	case len(e.types) == 0:
		return illegal("At least one entity type must be specified")
	case len(e.types) > 1 && (len(e.types) > 2 || !e.has(users) || !e.has(clients)):
		return illegal("Only 'users' and 'clients' entity types may be specified together")
	}
	return nil
}

func checkConnection(c *cli.Context, _ entity) error {
	count := 0
	for _, name := range []string{"bootstrap-server", "bootstrap-controller", "zookeeper"} {
		if c.IsSet(name) {
			count++
		}
	}
	// The option's name is misspelt in Kafka's messages; scripts may look for it.
	switch {
	case count == 0:
		return illegal("One of the required --bootstrap-server, --boostrap-controller, or --zookeeper arguments must be specified")
	case count > 1:
		return illegal("Only one of --bootstrap-server, --boostrap-controller, and --zookeeper can be specified")
	case c.IsSet("all") && c.IsSet("zookeeper"):
		return illegal("--bootstrap-server must be specified for --all")
	case c.IsSet("zk-tls-config-file") && !c.IsSet("zookeeper"):
		return illegal("Only the --zookeeper option can be used with the --zk-tls-config-file option.")
	}
	return nil
}

func checkNames(c *cli.Context, e entity) error {
	for i, name := range e.names {
		if name == "" || i >= len(e.types) {
			continue
		}
		switch kind := e.types[i]; kind {
		case brokers, brokerLoggers:
			if _, err := strconv.ParseInt(name, 10, 32); err != nil {
				return illegal("The entity name for %s must be a valid integer broker id, but it is: %s", kind, name)
			}
		case ips:
			if _, err := net.LookupHost(name); err != nil {
				return illegal("The entity name for %s must be a valid IP or resolvable host, but it is: %s", kind, name)
			}
		}
	}
	if c.IsSet("describe") && e.has(brokerLoggers) && !e.hasName() {
		return illegal("an entity name must be specified with --describe of %s", strings.Join(e.types, ","))
	}
	return nil
}

func checkAlter(c *cli.Context, e entity) error {
	if !c.IsSet("alter") {
		return nil
	}
	if e.has(users) || e.has(clients) || e.has(brokers) || e.has(ips) {
		if !e.hasName() && !e.hasDefault() {
			return illegal("an entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
		}
	} else if !e.hasName() {
		return illegal("an entity name must be specified with --alter of %s", strings.Join(e.types, ","))
	}
	switch {
	case c.IsSet("add-config") && c.IsSet("add-config-file"):
		return illegal("Only one of --add-config or --add-config-file must be specified")
	case !c.IsSet("add-config") && !c.IsSet("add-config-file") && !c.IsSet("delete-config"):
		return illegal("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	return nil
}
