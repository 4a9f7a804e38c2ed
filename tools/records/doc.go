// Package records is kafka-delete-records: move the log start offset of partitions forward.
package records
