// Package broker builds a broker out of its parts and runs it. It is the only package that knows every part.
//
// # One request, one straight line
//
//	transport.conn     read a frame, decode header and body
//	  api.dispatch     table lookup
//	    api/00_produce     may this principal write; one call per partition
//	      replica.Append      leader here? enough ISR? record.Validate
//	        storage.Log.Append   offsets, producer state, one write, indexes
//	      replica.Await        acks=all sleeps until the high watermark has passed
//	  api              results into a response
//	transport.conn     encode, one write
//
// Fetch is the same line through replica's reads; records leave by sendfile. Controller requests (LeaderAndIsr, StopReplica,
// UpdateMetadata) come in on the same line, also from this broker's own controller.
//
// # Lives
//
// A broker has one life in ZooKeeper per session: lifecycle.go registers it, hands the session to the controller, and when the
// session has expired makes the controller resign before it connects again. Data service goes on meanwhile.
package broker
