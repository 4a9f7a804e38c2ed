package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/group"
	"github.com/kraal-mq/kraal/broker/wire"
)

// DescribeGroups, versions 0 to 5, for the groups' coordinator.
//
//	3 authorized operations (KIP-430)
//	4 static members (KIP-345)
//	5 flexible

func describeGroups(h *Handler, c *call, req *kmsg.DescribeGroupsRequest, resp *kmsg.DescribeGroupsResponse) error {
	var allowed []string
	for _, name := range req.Groups {
		if h.allowed(c.Conn, acl.Describe, acl.Group, name) {
			allowed = append(allowed, name)
			continue
		}
		rg := kmsg.NewDescribeGroupsResponseGroup()
		rg.Group, rg.ErrorCode, rg.AuthorizedOperations = name, int16(wire.ErrGroupAuthorizationFailed), operationsNotAsked
		resp.Groups = append(resp.Groups, rg)
	}
	for _, name := range allowed {
		summary, err := h.Groups.Describe(c.ctx, name)
		rg := describedGroup(name, summary)
		rg.ErrorCode = int16(h.code(err))
		if err == nil && req.IncludeAuthorizedOperations {
			rg.AuthorizedOperations = h.operations(c.Conn, acl.Group, name)
		}
		resp.Groups = append(resp.Groups, rg)
	}
	return nil
}

func describedGroup(name string, s group.Summary) kmsg.DescribeGroupsResponseGroup {
	rg := kmsg.NewDescribeGroupsResponseGroup()
	rg.Group, rg.State, rg.ProtocolType, rg.Protocol, rg.AuthorizedOperations = name, s.State, s.ProtocolType, s.Protocol, operationsNotAsked
	for _, m := range s.Members {
		rm := kmsg.NewDescribeGroupsResponseGroupMember()
		rm.MemberID, rm.InstanceID, rm.ClientID, rm.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		rm.ProtocolMetadata, rm.MemberAssignment = append([]byte{}, m.Metadata...), append([]byte{}, m.Assignment...)
		rg.Members = append(rg.Members, rm)
	}
	return rg
}
