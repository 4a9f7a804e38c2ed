// Package api turns requests into calls of the packages below it, and their results into responses.
//
// One file per API key, named by key; each opens with the versions served and what they added. table.go is the only list of
// what is served. Below this package a failure is a Go error; errors.go alone maps errors to Kafka's codes.
//
// Handlers run on the connection's serve goroutine, one at a time per connection. Only produce with acks=all returns a wait
// instead of an answer.
package api
