// Package jaas reads login settings in the form that Java's users write: the value of a sasl.jaas.config,
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="secret";
//
// and the file that -Djava.security.auth.login.config=FILE names, with sections of such entries:
//
//	KafkaServer { ... };
//	Client { ... };
//
// What an entry means is its reader's business.
package jaas
