package storage

import (
	"errors"
	"fmt"
	"syscall"
)

// Sentinels for errors.Is. The errors returned carry more words.
var (
	// ErrOffsetOutOfRange: the offset is below the log start offset or above the end it was checked against.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrUnexpectedOffset: a follower append that does not begin at or after the log end offset, or whose offsets do not
	// increase. Nothing was written.
	ErrUnexpectedOffset = errors.New("unexpected append offset")
	// ErrRecordListTooLarge: one append is larger than segment.bytes.
	ErrRecordListTooLarge = errors.New("record list larger than a segment")
	// ErrOutOfOrderSequence: the batch does not continue its producer's sequence.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrInvalidProducerEpoch: the producer was fenced by a newer epoch.
	ErrInvalidProducerEpoch = errors.New("invalid producer epoch")
	// ErrInvalidTxnState: a batch that does not fit the producer's transaction in this partition.
	ErrInvalidTxnState = errors.New("invalid transaction state")
	// ErrCoordinatorFenced: a transaction marker from a coordinator with an old epoch.
	ErrCoordinatorFenced = errors.New("transaction coordinator fenced")
	// ErrClosed: the log was closed with its manager.
	ErrClosed = errors.New("log closed")
	// ErrDeleted: the log was deleted, or replaced by its future replica.
	ErrDeleted = errors.New("log deleted")
	// ErrNotFound: there is no such log here.
	ErrNotFound = errors.New("log not found")
	// ErrTopicIDMismatch: the partition directory belongs to another topic of the same name.
	ErrTopicIDMismatch = errors.New("inconsistent topic id")
	// ErrDirOffline: a log directory failed; matches every *DirError.
	ErrDirOffline = errors.New("log directory offline")
	// ErrNameTooLong: the topic's name leaves no room for the suffix of a future replica's directory.
	ErrNameTooLong = errors.New("topic name too long")
	// ErrDiskFull: there was no room for what was to be written. Nothing has changed, the log directory stays online, and it
	// can be tried again. An append under flush.messages may have been written all the same.
	ErrDiskFull = errors.New("disk full")
	// ErrLocked: another process uses the log directory.
	ErrLocked = errors.New("in use by another process")
)

// DirError says that a log directory failed, or had failed before. Nothing in it is tried again until a restart,
// because after a failed write or fsync nobody knows what is on the disk.
type DirError struct {
	Dir string // entry of log.dirs
	Err error  // what happened first
}

func (e *DirError) Error() string {
	return fmt.Sprintf("log directory %s is offline: %v", e.Dir, e.Err)
}

// Unwrap returns the error that took the directory offline.
func (e *DirError) Unwrap() error { return e.Err }

// Is matches [ErrDirOffline].
func (e *DirError) Is(target error) bool { return target == ErrDirOffline }

// OffsetError is the [ErrOffsetOutOfRange] of one request.
type OffsetError struct {
	Offset     int64
	Start, End int64 // the range it had to be in, both inclusive
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("offset %d is outside of [%d, %d]", e.Offset, e.Start, e.End)
}

// Is matches [ErrOffsetOutOfRange].
func (e *OffsetError) Is(target error) bool { return target == ErrOffsetOutOfRange }

// UnexpectedOffsetError is the [ErrUnexpectedOffset] of a follower append below the log end offset. A follower whose log
// is empty may begin anew at First if the append reaches over its end: the leader's log starts within a batch then.
type UnexpectedOffsetError struct {
	First, Last int64 // of the append
	LEO         int64
}

func (e *UnexpectedOffsetError) Error() string {
	return fmt.Sprintf("offsets %d to %d begin below the log end offset %d", e.First, e.Last, e.LEO)
}

// Is matches [ErrUnexpectedOffset].
func (e *UnexpectedOffsetError) Is(target error) bool { return target == ErrUnexpectedOffset }

// isFull says whether a write found no room. A sync that says so is another matter: nobody knows what it left out.
func isFull(err error) bool {
	var sync *syncError
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.As(err, &sync) && !errors.Is(err, ErrDirOffline)
}

// syncError is what went wrong while something was made durable, or undone: it takes the directory offline whatever it was.
type syncError struct{ err error }

func (e *syncError) Error() string { return e.err.Error() }
func (e *syncError) Unwrap() error { return e.err }
