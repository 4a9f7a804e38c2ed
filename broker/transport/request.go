package transport

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// Request is one request as a handler sees it. It and all it leads to are valid until its response has been written.
type Request struct {
	Conn   *Conn
	Header wire.Header

	// Body is decoded in Header.Version; its []byte fields alias the request's buffer. There is one exception:
	// an ApiVersions request of a version that is not served has an empty body and UnsupportedVersion set, and is to
	// be answered in version 0 with UNSUPPORTED_VERSION (KIP-511).
	Body               kmsg.Request
	UnsupportedVersion bool

	Received time.Time // when its last byte had been read
	Size     int       // of the frame without the size prefix: what the produce quota counts

	// Waited is for the handler to note how much of its time it only waited for something to happen. For metrics.
	Waited time.Duration
}

// Handler answers requests.
type Handler interface {
	// Versions returns the range of versions served for an API key. A request outside of it closes the connection,
	// except ApiVersions.
	Versions(key int16) (lowest, highest int16, ok bool)

	// Serve answers one request. Calls for one connection come one after another, in the order of the requests; it may
	// block. The ctx is the connection's: it ends when the peer is gone or the server closes the connection.
	Serve(ctx context.Context, r *Request) Reply
}

// Reply is what a handler makes of a request.
type Reply struct {
	// Body is the response: a kmsg.Response in the request's version, or a *wire.FetchResponse.
	Body wire.Body

	// Wait, if not nil, makes the actual reply later: it is called once, after all earlier answers of the connection
	// have been written, while serve goes on with the next requests. It must return soon after ctx has ended. All
	// other fields except Throttle are ignored then, and the reply it returns must have no Wait.
	Wait func(ctx context.Context) Reply

	// Throttle is for how long the connection is not read, beginning with the answer.
	Throttle time.Duration

	// None means that no answer is due: a produce with acks=0.
	None bool

	// Close closes the connection once the answer, if there is a Body, has been written.
	Close bool

	// Done, if not nil, is told once the reply is dealt with: how many bytes were sent, and how long sending them took.
	Done func(sent int, took time.Duration)
}
