// Package config knows every key Kafka's ZooKeeper-mode broker knows and turns text into plain structs for everybody
// else. It reads no ZooKeeper and opens no socket: it is handed the properties file and the contents of the
// /config/brokers and /config/topics znodes, and hands back typed values, descriptions and judgements.
//
//	server.properties --Load--> Static ----NewDynamic----> Dynamic --Current--> *Config   (atomic, immutable)
//	/config/brokers/<default> --ApplyDefault-------------> Dynamic --Subscribe-> who wants to hear of which keys
//	/config/brokers/<id> -------ApplyBroker--------------> Dynamic
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
// # Files
//
// defs.go is the vocabulary of the key tables, keys_*.go are the tables. parse.go and valid.go judge one value,
// rules.go judges combinations. config.go holds the structs; build.go fills them. static.go reads the file,
// dynamic.go holds the overlays, describe.go and alter.go serve DescribeConfigs and the two alter APIs, password.go
// encrypts stored passwords.
//
// # Concurrency
//
// A *Config never changes once handed out; holders must not write to it. Dynamic is safe for concurrent use: its lock
// is held while subscribers are called, so a subscriber must not call back into Dynamic other than Current.
package config
