package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// extraKeys may be in the file without being broker configs: read by Kafka's AclAuthorizer, or by its scripts.
var extraKeys = []string{"super.users", "allow.everyone.if.no.acl.found", providersKey}

// deprecated keys and what to use in their place.
var deprecated = map[string]string{
	"log.message.format.version":              "deprecated and ignored: records are always written in format v2",
	"log.message.timestamp.difference.max.ms": "deprecated: use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
	"offsets.commit.required.acks":            "deprecated",
	"delegation.token.master.key":             "deprecated: use delegation.token.secret.key",
}

// builtInClasses are the values of Java class keys whose behaviour is built in.
var builtInClasses = map[string][]string{
	"authorizer.class.name":  {"", "kafka.security.authorizer.AclAuthorizer"},
	"replica.selector.class": {"", "org.apache.kafka.common.replica.RackAwareReplicaSelector", "org.apache.kafka.common.replica.LeaderSelector"},
}

// warnings lists what in the file does not do what its author may expect, by key.
func warnings(props map[string]string, c *Config) []Warning {
	var ws []Warning
	warn := func(key, message string) { ws = append(ws, Warning{Key: key, Message: message}) }
	for _, name := range slices.Sorted(maps.Keys(props)) {
		k, known := lookupBroker(name)
		switch {
		case !known && isExtra(name):
		case !known:
			warn(name, "unknown key, ignored"+meant(name))
		case deprecated[name] != "":
			if name != "log.message.format.version" || c.Broker.InterBrokerProtocol >= V3_0_IV1 {
				warn(name, deprecated[name])
			}
		case k.Status == NoEffect && !reflect.DeepEqual(c.values[name], k.Default):
			warn(name, "has no effect here: "+purpose(k.Doc))
		}
		if _, ok := dynamicTable().lookup(name); ok {
			warn(name, "is read from ZooKeeper only, ignored in the file")
		}
		if listener, _, ok := splitListenerKey(name); ok && known {
			if l := strings.ToUpper(listener); listener != strings.ToLower(listener) {
				warn(name, "listener names are lower case in keys, ignored")
			} else if _, ok := c.Endpoint(l); !ok {
				warn(name, "there is no listener "+l)
			}
		}
	}
	for key, classes := range builtInClasses {
		if class := c.text(key); !slices.Contains(classes, class) {
			warn(key, "the class "+class+" is not built in")
		}
	}
	for _, l := range c.Listeners {
		own := listenerPrefix + strings.ToLower(l.Name) + ".ssl.client.auth"
		if _, ok := props[own]; l.Protocol == "SASL_SSL" && !ok && c.base.SSL.ClientAuth != "none" {
			warn("ssl.client.auth", "is not applied to the SASL_SSL listener "+l.Name+"; set "+own+" to mean it")
		}
	}
	if c.Broker.InterBrokerProtocol > LatestProduction {
		warn("inter.broker.protocol.version", "is not meant for production")
	}
	slices.SortStableFunc(ws, func(a, b Warning) int { return strings.Compare(a.Key, b.Key) })
	return ws
}

// purpose is what a key without effect is for: its description without the remark that it has none.
func purpose(doc string) string {
	doc, _, _ = strings.Cut(doc, " Without effect")
	return strings.TrimSuffix(doc, ".")
}

func isExtra(name string) bool {
	if rest, ok := strings.CutPrefix(name, authorizerPrefix); ok {
		if _, ok := brokerTable().lookup("zookeeper." + rest); ok || rest == "url" {
			return true
		}
	}
	return slices.Contains(extraKeys, name) || strings.HasPrefix(name, providersKey+".")
}
