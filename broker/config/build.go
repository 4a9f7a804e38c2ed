package config

import (
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// build makes a Config of merged text: the file alone, or the file under the dynamic levels. It always returns one, so
// that all problems are found at once; it may be used only if there are none.
func build(props map[string]string) (*Config, []Problem) {
	b := &builder{c: &Config{props: withIDs(props), values: map[string]any{}}, bad: map[string]bool{}}
	b.parse()
	b.derive()
	b.c.topics = topicDefaults(b.c)
	b.c.Defaults = resolveTopic(b.c.topics)
	b.check()
	slices.SortStableFunc(b.problems, func(x, y Problem) int { return strings.Compare(x.Key, y.Key) })
	return b.c, b.problems
}

// withIDs lets broker.id and node.id stand for each other (KafkaConfig.populateSynonyms).
func withIDs(props map[string]string) map[string]string {
	out := make(map[string]string, len(props)+1)
	for k, v := range props {
		out[k] = v
	}
	broker, hasBroker := out["broker.id"]
	node, hasNode := out["node.id"]
	switch {
	case hasBroker && !hasNode:
		out["node.id"] = broker
	case hasNode && !hasBroker:
		out["broker.id"] = node
	}
	return out
}

type builder struct {
	c        *Config
	problems []Problem
	bad      map[string]bool // keys with a problem of their own: rules about them would only repeat it
}

// refuse records a problem with a key as it stands in the text, or as it defaults to.
func (b *builder) refuse(key, reason string) {
	value, ok := b.c.props[key]
	if !ok {
		value = format(b.c.values[key])
	}
	if k, known := lookupBroker(key); known && k.Sensitive() {
		value = hidden
	}
	b.bad[key] = true
	b.problems = append(b.problems, Problem{Key: key, Value: value, Reason: reason})
}

// parse fills values: every key of the broker's table, and whatever of the listener forms and dynamic keys is set.
func (b *builder) parse() {
	for _, name := range brokerTable().names {
		b.parseKey(name, brokerTable().byName[name])
	}
	for name := range b.c.props {
		if _, ok := brokerTable().byName[name]; ok {
			continue
		}
		if k, ok := lookupBroker(name); ok {
			b.parseKey(name, k)
		}
	}
}

func (b *builder) parseKey(name string, k Key) {
	text, set := b.c.props[name]
	if !set {
		b.c.values[name] = k.Default
		return
	}
	v, err := k.parseAs(name, text)
	if err != nil {
		ve := err.(*ValueError)
		b.bad[name] = true
		b.problems = append(b.problems, Problem{Key: name, Value: ve.Value, Reason: ve.Reason})
		v = k.Default
	}
	b.c.values[name] = v
}

// derive fills the structs.
func (b *builder) derive() {
	c := b.c
	get := func(key string) any { return c.values[key] }
	fill(reflect.ValueOf(c).Elem(), get)

	c.Broker.ID, _ = get("broker.id").(int32)
	c.Broker.InterBrokerProtocol, _ = ParseVersion(c.Broker.InterBrokerProtocolVersion)
	c.ZooKeeper.ConnectionTimeout = c.ZooKeeper.SessionTimeout
	if v := get("zookeeper.connection.timeout.ms"); v != nil {
		c.ZooKeeper.ConnectionTimeout = duration(v, time.Millisecond)
	}
	c.Log.Dirs = csv(c.values["log.dir"])
	if dirs := get("log.dirs"); dirs != nil {
		c.Log.Dirs = csv(dirs)
	}
	c.Replica.AlterLogDirsThreads = int32(len(c.Log.Dirs))
	if n, ok := get("num.replica.alter.log.dirs.threads").(int32); ok {
		c.Replica.AlterLogDirsThreads = n
	}
	c.Quota = b.quota()
	c.Tokens.SecretKey, _ = get("delegation.token.master.key").(string)
	if v, ok := get("delegation.token.secret.key").(string); ok {
		c.Tokens.SecretKey = v
	}
	b.auth()
	b.connectionLimits()
	b.listeners()
}

func (b *builder) quota() Quota {
	window := func(prefix string) QuotaWindow {
		n, _ := b.c.values[prefix+"quota.window.num"].(int32)
		return QuotaWindow{Num: n, Size: duration(b.c.values[prefix+"quota.window.size.seconds"], time.Second)}
	}
	rate := func(key string) int64 {
		if n, ok := b.c.values[key].(int64); ok {
			return n
		}
		return math.MaxInt64
	}
	return Quota{
		Client:                           window(""),
		Replication:                      window("replication."),
		AlterLogDirs:                     window("alter.log.dirs.replication."),
		Controller:                       window("controller."),
		LeaderReplicationThrottledRate:   rate("leader.replication.throttled.rate"),
		FollowerReplicationThrottledRate: rate("follower.replication.throttled.rate"),
		AlterLogDirsMaxBytesPerSecond:    rate("replica.alter.log.dirs.io.max.bytes.per.second"),
	}
}

// auth reads the keys that Kafka's AclAuthorizer takes from the file without their being broker configs.
func (b *builder) auth() {
	c := b.c
	for _, p := range strings.Split(c.props["super.users"], ";") {
		if p = trim(p); p != "" {
			c.Auth.SuperUsers = append(c.Auth.SuperUsers, p)
		}
	}
	c.Auth.AllowEveryoneIfNoACLFound = strings.EqualFold(trim(c.props["allow.everyone.if.no.acl.found"]), "true")

	c.Auth.ZooKeeper = c.ZooKeeper
	own := map[string]any{}
	for name, text := range c.props {
		rest, ok := strings.CutPrefix(name, authorizerPrefix)
		if !ok {
			continue
		}
		key := "zookeeper." + rest
		if rest == "url" {
			key = "zookeeper.connect"
		}
		k, ok := brokerTable().lookup(key)
		if !ok {
			continue
		}
		v, err := k.parseAs(name, text)
		if err != nil {
			ve := err.(*ValueError)
			b.problems = append(b.problems, Problem{Key: name, Value: ve.Value, Reason: ve.Reason})
			continue
		}
		own[key] = v
	}
	if len(own) == 0 {
		return
	}
	fill(reflect.ValueOf(&c.Auth.ZooKeeper).Elem(), func(key string) any {
		if v, ok := own[key]; ok {
			return v
		}
		return c.values[key]
	})
	if v, ok := own["zookeeper.connection.timeout.ms"]; ok {
		c.Auth.ZooKeeper.ConnectionTimeout = duration(v, time.Millisecond)
	}
}

const authorizerPrefix = "authorizer.zookeeper."

// connectionLimits reads max.connections.per.ip.overrides: host:count, the count after the last colon, so that IPv6
// addresses need no brackets.
func (b *builder) connectionLimits() {
	const key = "max.connections.per.ip.overrides"
	limits := map[string]int32{}
	for _, item := range csv(b.c.values[key]) {
		i := strings.LastIndexByte(item, ':')
		if i < 0 {
			b.refuse(key, "not a list of host:count")
			return
		}
		n, err := strconv.ParseInt(trim(item[i+1:]), 10, 32)
		if err != nil {
			b.refuse(key, "the count of "+item+" is not a number")
			return
		}
		limits[trim(item[:i])] = int32(n)
	}
	b.c.Socket.MaxConnectionsPerIPOverrides = limits
}

// csv splits text at commas and drops blanks and empty items.
func csv(v any) []string {
	text, _ := v.(string)
	var items []string
	for _, item := range strings.Split(text, ",") {
		if item = trim(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// fill sets the fields of a struct, and of structs in it, from the keys of their tags. Fields without tag are left.
func fill(dst reflect.Value, get func(key string) any) {
	for i := range dst.NumField() {
		field, f := dst.Type().Field(i), dst.Field(i)
		key, tagged := field.Tag.Lookup("key")
		switch {
		case !field.IsExported():
		case tagged:
			set(f, key, get(key))
		case f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[TopicConfig]():
			fill(f, get)
		}
	}
}

// set stores a parsed value in a field of the fitting type; unset leaves the zero value.
func set(f reflect.Value, key string, v any) {
	switch {
	case v == nil:
		f.SetZero()
	case f.Type() == reflect.TypeFor[time.Duration]():
		f.SetInt(int64(duration(v, unit(key))))
	default:
		f.Set(reflect.ValueOf(v))
	}
}

// unit is what a key counts, by its name.
func unit(key string) time.Duration {
	switch {
	case strings.HasSuffix(key, ".seconds"):
		return time.Second
	case strings.HasSuffix(key, ".minutes"):
		return time.Minute
	}
	return time.Millisecond
}

// duration is n units, cut to what a Duration can hold.
func duration(v any, unit time.Duration) time.Duration {
	var n int64
	switch v := v.(type) {
	case int16:
		n = int64(v)
	case int32:
		n = int64(v)
	case int64:
		n = v
	}
	switch most := math.MaxInt64 / int64(unit); {
	case n > most:
		return math.MaxInt64
	case n < -most:
		return math.MinInt64
	}
	return time.Duration(n) * unit
}
