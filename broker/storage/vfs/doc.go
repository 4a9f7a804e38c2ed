// Package vfs is the filesystem the log layer writes to: the real one, one in memory that can crash, and one that
// injects faults.
package vfs
