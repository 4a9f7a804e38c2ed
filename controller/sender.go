package controller

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Sender carries one request to one broker and brings its answer back.
//
// The request's version is set already and must not be negotiated: in ZooKeeper mode inter.broker.protocol.version
// dictates it. At most one Send per broker and life (meta.Broker.Epoch) is under way at a time. An error means that the
// outcome is unknown: the connection must be closed, and the same request is sent again after a pause. Send returns soon
// after ctx ends, which is how the controller stops talking to a broker that is gone.
//
// The address is the one of the control-plane listener if there is one, else of the inter-broker listener, in to.Endpoints.
// Requests are encoded with their own AppendTo; StopReplica version 4 is not kmsg's (see [StopReplicaRequest]).
type Sender interface {
	Send(ctx context.Context, to meta.Broker, req kmsg.Request) (kmsg.Response, error)
}
