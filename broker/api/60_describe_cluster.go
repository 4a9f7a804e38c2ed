package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// DescribeCluster, versions 0 and 1, for any broker. 1 says which kind of endpoint is asked for (KIP-919): here only brokers.

const (
	brokerEndpoints     = 1
	controllerEndpoints = 2
)

func describeCluster(h *Handler, c *call, req *kmsg.DescribeClusterRequest, resp *kmsg.DescribeClusterResponse) error {
	resp.ControllerID, resp.ClusterAuthorizedOperations = int32(meta.NoBroker), operationsNotAsked
	if req.Version >= 1 && req.EndpointType != brokerEndpoints {
		err := wire.ErrUnsupportedEndpointType
		if req.EndpointType == controllerEndpoints {
			err = wire.ErrMismatchedEndpointType
		}
		resp.ErrorCode, resp.ErrorMessage = h.codeAndMessage(err)
		return nil
	}
	snapshot := h.acquainted(c.ctx)
	resp.ClusterID = h.ClusterID
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = 0
		if h.clusterAllowed(c.Conn, acl.Describe) {
			resp.ClusterAuthorizedOperations = h.operations(c.Conn, acl.Cluster, acl.ClusterName)
		}
	}
	for _, b := range snapshot.Brokers() {
		e, ok := b.Endpoint(c.Conn.Listener())
		if !ok {
			continue
		}
		if b.ID == snapshot.ControllerID() {
			resp.ControllerID = int32(b.ID)
		}
		rb := kmsg.NewDescribeClusterResponseBroker()
		rb.NodeID, rb.Host, rb.Port, rb.Rack = int32(b.ID), e.Host, e.Port, h.rack(b.ID)
		resp.Brokers = append(resp.Brokers, rb)
	}
	return nil
}
