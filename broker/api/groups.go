package api

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/acl"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/wire"
)

// mayBeMember is what requests of members have to pass: the right to read the group, and that all brokers know of static members.
func (h *Handler) mayBeMember(c *call, group string, instanceID *string) error {
	if err := h.mayBeStatic(instanceID); err != nil {
		return err
	}
	return h.mayReadGroup(c, group)
}

// mayBeStatic refuses static members while a coordinator may come up that would forget that they are (inter.broker.protocol.version
// below 2.3).
func (h *Handler) mayBeStatic(instanceID *string) error {
	if instanceID != nil && h.Config.Current().Broker.InterBrokerProtocol < config.V2_3_IV0 {
		return wire.ErrUnsupportedVersion
	}
	return nil
}

func (h *Handler) mayReadGroup(c *call, group string) error {
	if !h.allowed(c.Conn, acl.Read, acl.Group, group) {
		return wire.ErrGroupAuthorizationFailed
	}
	return nil
}

// waiting is deferred around what a request only waits for; for metrics.
func (c *call) waiting() (done func()) {
	began := time.Now()
	return func() { c.Waited += time.Since(began) }
}

// javaAddress spells an address as Java does where there is no name: /127.0.0.1, /0:0:0:0:0:0:0:1.
func javaAddress(a netip.Addr) string {
	a = a.Unmap()
	if a.Is4() {
		return "/" + a.String()
	}
	b := a.As16()
	var parts [8]string
	for i := range parts {
		parts[i] = strconv.FormatUint(uint64(b[2*i])<<8|uint64(b[2*i+1]), 16)
	}
	text := "/" + strings.Join(parts[:], ":")
	if a.Zone() != "" {
		text += "%" + a.Zone()
	}
	return text
}
