package api

import (
	"math"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/transport"
)

// operationsNotAsked stands in authorized_operations when the request did not ask for them.
const operationsNotAsked = math.MinInt32

func (h *Handler) allowed(c *transport.Conn, op acl.Operation, t acl.ResourceType, name string) bool {
	return h.Authorizer == nil || h.Authorizer.Allowed(c, op, t, name)
}

func (h *Handler) topicAllowed(c *transport.Conn, op acl.Operation, topic string) bool {
	return h.allowed(c, op, acl.Topic, topic)
}

func (h *Handler) clusterAllowed(c *transport.Conn, op acl.Operation) bool {
	return h.allowed(c, op, acl.Cluster, acl.ClusterName)
}

// operations returns the bits of what the connection's owner may do with a resource.
func (h *Handler) operations(c *transport.Conn, t acl.ResourceType, name string) int32 {
	var bits int32
	for _, op := range acl.Supported(t) {
		if h.allowed(c, op, t, name) {
			bits |= 1 << op
		}
	}
	return bits
}
