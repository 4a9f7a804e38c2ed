// Package transport takes connections in and answers requests on them, one request at a time and in order.
//
//	accept      per listener       limits, socket options, then a goroutine per connection
//	serve       per connection     read a frame, decode, Handler.Serve, and the answer, strictly in order
//	reply       per connection     begins with the first answer that has to be waited for (an acks=all produce); from
//	                               then on writes all answers, strictly in order, a bounded number ahead of serve
//	watch       per server         cancels the ctx of a connection whose peer is gone while serve is busy (Linux)
//	sweep       per server         closes connections without traffic for connections.max.idle.ms
//
// An idle connection costs one small goroutine stack and a few hundred bytes: request buffers are on loan from
// broker/wire's pools only while a request is being read and served, response buffers while it is being written.
//
// A request's buffer is freed once its response was written. What a handler keeps longer it copies.
//
// The answer to a throttled request is sent at once; the connection is then not read for the throttle time. A request
// that came in meanwhile waits.
//
// Logging in is an [Authenticator]'s business, TLS a hook's: both are parts of [Listener]. What a request means, and
// which versions are served, is the [Handler]'s.
//
// All requests in memory together are bounded by a budget, if there is one: reading waits for room.
//
// Locks: Server.mu guards the set of connections and the counts of the limits, budget.mu the bytes in memory. Both are
// leaves.
package transport
