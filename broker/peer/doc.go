// Package peer sends requests to other brokers.
//
// A [Pool] keeps one connection per address. Requests are pipelined on it: brokers answer in order, so answers are
// matched with a queue, and the correlation id proves the match. A long-polling fetch holds up what is sent behind
// it; whoever polls has a pool of its own.
//
// An error means that the outcome is unknown unless it is [ErrNotSent]: the connection broke, or the answer did not
// come in time, in which case the connection is closed and the requests behind it fail as well. Nothing is retried
// here. After a failed connect the next attempt waits, longer each time, and so does whoever needs the connection.
//
// Versions are the caller's to set: between brokers they follow from inter.broker.protocol.version.
//
// Goroutines: one per connection, which connects and then reads, until the connection ends. Close waits for all of them.
//
// Locks: Pool.mu, then conn.mu. Writing to a connection is a right passed through conn.writing, so that whoever waits
// for it can give up.
package peer
