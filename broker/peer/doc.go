// Package peer sends requests to other brokers.
//
// A [Pool] keeps one connection per address. Requests are pipelined on it: brokers answer in order, so answers are
// matched with a queue, and the correlation id proves the match. A long-polling fetch holds up what is sent behind
// it; whoever polls has a pool of its own.
//
// An error means that the outcome is unknown unless it is [ErrNotSent]: the connection broke, or the answer did not
// come in time, in which case the connection is closed and the requests behind it fail as well. Nothing is retried
// here. After a failed connect the next attempt waits, longer each time.
//
// Goroutines: one reader per connection, ended with it. Close waits for all of them.
package peer
