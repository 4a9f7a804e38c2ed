// Package txns is kafka-transactions: show transactions and the producers of a partition, find transactions that hang, abort them.
package txns
