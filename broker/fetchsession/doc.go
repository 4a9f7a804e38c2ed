// Package fetchsession remembers between fetches what a client is interested in and what it was last told, so that
// requests and responses carry only what changed (KIP-227, FetchSession.scala).
//
// A fetch goes: [Cache.Begin] turns the request into a [Fetch], which lists the partitions to read; the caller reads
// them and passes the results, in the same order, to [Fetch.Finish], which says which of them the response has to
// carry and under which session id. [Fetch.Select] says so without consequences, for whoever has to know the size of
// the response first. A response that is not sent as read, because the client is throttled, takes [Fetch.Throttled] in
// place of Finish and leaves the session's partitions as they were.
//
// Every request moves the session's epoch on, and Finish looks whether it is still that of its request. So between Begin
// and Finish nobody else changes the session's partitions, although no lock is held while they are read.
//
// Locks: session.mu, then shard.mu of the cache. Both are leaves for everybody else.
package fetchsession
