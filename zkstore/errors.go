package zkstore

import (
	"errors"
	"fmt"
)

// What an operation may end with. Every error names the operation and the znode and wraps one of these.
var (
	ErrNoNode     = errors.New("no such znode")
	ErrNodeExists = errors.New("znode already exists")
	ErrBadVersion = errors.New("znode has another version")
	ErrNotEmpty   = errors.New("znode has children")
	ErrNoAuth     = errors.New("not permitted by the znode's ACL")

	// ErrFenced means the role that a [Fence] stands for has passed to somebody else: stop acting in it.
	ErrFenced = errors.New("fenced: the role has passed on")

	// ErrExpired, ErrClosed and ErrAuthFailed say why a [Session] ended. It stays ended.
	ErrExpired    = errors.New("ZooKeeper session expired")
	ErrClosed     = errors.New("ZooKeeper session closed")
	ErrAuthFailed = errors.New("ZooKeeper refused our credentials")

	// ErrUnknownOutcome means a write may or may not have been carried out: the connection broke before its
	// answer, and the context or the session ended before that could be settled.
	ErrUnknownOutcome = errors.New("outcome unknown")

	// ErrBrokerIDTaken means a registration under this broker id belongs to another session.
	ErrBrokerIDTaken = errors.New("broker id is registered by another session")
	// ErrElectionLost means another broker is, or just became, controller.
	ErrElectionLost = errors.New("another broker is controller")
	// ErrNoController means a config write found no active controller; worth repeating later.
	ErrNoController = errors.New("no active controller")
	// ErrMigrating means a KRaft controller owns the metadata: ZooKeeper must not be written behind its back.
	ErrMigrating = errors.New("a KRaft controller is migrating this cluster")
)

// UnreadableError tells of a znode whose content is not what Kafka writes there.
type UnreadableError struct {
	Path string
	Err  error
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("unreadable znode %s: %v", e.Path, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }
