package api

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
)

// ListGroups, versions 0 to 5, for any broker: it lists the groups it coordinates.
//
//	3 flexible
//	4 states, to choose by and in the answer (KIP-518)
//	5 types likewise (KIP-848)

const classicGroup = "classic"

func listGroups(h *Handler, c *call, req *kmsg.ListGroupsRequest, resp *kmsg.ListGroupsResponse) error {
	groups, err := h.Groups.List(c.ctx)
	resp.ErrorCode = int16(h.code(err)) // while some are loading, with those that are known
	all := h.clusterAllowed(c.Conn, acl.Describe)
	for _, g := range groups {
		if !chosen(req.StatesFilter, g.State) || !chosen(req.TypesFilter, classicGroup) ||
			!all && !h.allowed(c.Conn, acl.Describe, acl.Group, g.ID) {
			continue
		}
		rg := kmsg.NewListGroupsResponseGroup()
		rg.Group, rg.ProtocolType, rg.GroupState, rg.GroupType = g.ID, g.ProtocolType, g.State, classicGroup
		resp.Groups = append(resp.Groups, rg)
	}
	return nil
}

// chosen reports whether a filter lets a value through, in whatever case. No filter lets everything.
func chosen(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}
