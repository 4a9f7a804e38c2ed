// Package config knows every key Kafka's ZooKeeper-mode broker knows and turns text into plain structs for everybody
// else. It reads no ZooKeeper and opens no socket: it is handed the properties file and the contents of the
// /config/brokers and /config/topics znodes, and hands back typed values, descriptions and judgements.
//
//	server.properties --Load--> Static ----NewDynamic----> Dynamic --Current--> *Config   (atomic, immutable)
//	/config/brokers/<default> --Apply--------------------> Dynamic --Subscribe-> who wants to hear of which keys
//	/config/brokers/<id> -------Apply--------------------> Dynamic
//	/config/topics/<topic> -----(*Config).Topic----------> TopicConfig
//
// # Levels
//
// A value comes from the highest level that has it (KIP-226):
//
//	1 topic override          /config/topics/<topic>
//	2 per broker              /config/brokers/<id>
//	3 cluster default         /config/brokers/<default>
//	4 file                    server.properties and --override
//	5 built in                the tables of this package
//
// Some settings have several names (log.roll.ms and log.roll.hours). Within a level the stronger name wins; across
// levels the higher level wins even if it uses the weaker name.
//
// # Where it differs from Kafka
//
//   - All problems of a file are reported at once, and unknown keys and keys without effect are warned of.
//   - DescribeConfigs: the differences are listed in describe_test.go.
//   - A refused change of a pool or a listener says why; in Kafka the reason is wrapped beyond recognition. Zero cleaner
//     threads are a broken rule, not a division by zero.
//   - Appending to an unknown key is an invalid config, not an unknown server error.
//   - Java classes are not looked for; metric.reporters and the like are stored and have no effect. NaN is no number.
//   - Stored configs that jump by more than a factor of two are followed, see [Dynamic.Apply].
//
// # Files
//
// defs.go is the vocabulary of the key tables, keys_*.go are the tables. parse.go and valid.go judge one value,
// rules.go judges combinations, change.go the step from one configuration to the next. config.go and topic.go hold
// the structs; build.go and listeners.go fill them. static.go reads the file (properties.go its syntax, providers.go its
// variables, warnings.go what to tell the operator), dynamic.go holds the overlays, stored.go decodes and encodes znodes
// (password.go the secrets in them), describe.go and alter.go serve DescribeConfigs and the two alter APIs.
//
// # Concurrency
//
// A *Config never changes once handed out; holders must not write to it. Dynamic is safe for concurrent use: its lock
// is held while subscribers are called, so a subscriber must not call back into Dynamic other than Current and the Describe methods.
package config
