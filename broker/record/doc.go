// Package record reads and writes Kafka's record batches in place.
package record
