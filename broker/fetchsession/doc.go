// Package fetchsession remembers between fetches what a client is interested in and what it was last told, so that
// requests and responses carry only what changed (KIP-227, FetchSession.scala).
//
// A fetch goes: [Cache.Begin] turns the request into a [Fetch], which lists the partitions to read; the caller reads
// them and passes the results, in the same order, to [Fetch.Finish], which says which of them the response has to
// carry and under which session id. A response that is not sent as read, because the client is throttled, takes
// [Fetch.Throttled] in place of Finish and leaves the session as it was.
//
// Locks: shard.mu of the cache, then session.mu. Both are leaves for everybody else.
package fetchsession
