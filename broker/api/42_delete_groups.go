package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/wire"
)

// DeleteGroups, versions 0 to 2, for the groups' coordinator. 2 is flexible.

func deleteGroups(h *Handler, c *call, req *kmsg.DeleteGroupsRequest, resp *kmsg.DeleteGroupsResponse) error {
	var denied []string
	seen := make(map[string]bool, len(req.Groups))
	for _, name := range req.Groups {
		if seen[name] {
			continue
		}
		seen[name] = true
		if !h.allowed(c.Conn, acl.Delete, acl.Group, name) {
			denied = append(denied, name)
			continue
		}
		resp.Groups = append(resp.Groups, deletedGroup(name, h.code(h.Groups.Delete(c.ctx, name))))
	}
	for _, name := range denied {
		resp.Groups = append(resp.Groups, deletedGroup(name, wire.ErrGroupAuthorizationFailed))
	}
	return nil
}

func deletedGroup(name string, code wire.Code) kmsg.DeleteGroupsResponseGroup {
	rg := kmsg.NewDeleteGroupsResponseGroup()
	rg.Group, rg.ErrorCode = name, int16(code)
	return rg
}
