// Package quota answers one question: how long must this one wait? Arithmetic only; the clock is passed in, nothing is started,
// and nothing of kraal is imported.
//
//   - window.go: a rate measured over samples, as Kafka's Rate and QuotaUtils do
//   - connection.go: how fast connections may be accepted (KIP-612)
//   - replication.go: how fast replicas may be copied, between brokers (KIP-73) and between log directories (KIP-113)
//
// Types are safe for concurrent use where they say so.
package quota
