// Package acl answers one question: may principal P do operation O on resource R?
//
// For now it holds the words: resource types and operations with the codes and names Kafka gives them.
package acl
