// Package configs is kafka-configs: describe and alter the configuration of topics, brokers and broker loggers, the
// quotas of users, clients and addresses, and SCRAM credentials.
//
// entity.go reads who is meant, parse.go what is to change; resource.go, quota.go and scram.go do it, each over the APIs
// of its kind; zookeeper.go is the command with --zookeeper. Unlike Kafka 3.9's tool, brokers are altered incrementally: replacing their whole dynamic configuration
// loses what sensitive entries cannot be read back.
package configs
