package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var endpointPattern = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// listeners derives everything about listeners (KafkaConfig, CoreUtils.listenerListToEndPoints). A name is upper case
// everywhere but in the prefix of its keys, which is lower case.
func (b *builder) listeners() {
	c := b.c
	protocols := b.protocolMap()
	c.Listeners = b.endpoints("listeners", protocols)
	c.Advertised = c.Listeners
	if c.values["advertised.listeners"] != nil {
		c.Advertised = b.endpoints("advertised.listeners", protocols)
	}

	c.InterBrokerListener, _ = c.values["security.inter.broker.protocol"].(string)
	if name, ok := c.values["inter.broker.listener.name"].(string); ok {
		c.InterBrokerListener = strings.ToUpper(name)
		if _, known := protocols[c.InterBrokerListener]; !known && !b.bad[protocolMapKey] {
			b.refuse("inter.broker.listener.name", "no such listener in "+protocolMapKey)
		}
	}
	if name, ok := c.values["control.plane.listener.name"].(string); ok && name != "" {
		c.ControlPlaneListener = strings.ToUpper(name)
		if _, known := protocols[c.ControlPlaneListener]; !known && !b.bad[protocolMapKey] {
			b.refuse("control.plane.listener.name", "no such listener in "+protocolMapKey)
		}
	}

	c.base = b.listenerConfig("", "")
	c.listeners = make(map[string]ListenerConfig, len(c.Listeners))
	for _, l := range c.Listeners {
		c.listeners[l.Name] = b.listenerConfig(l.Name, l.Protocol)
	}
}

const protocolMapKey = "listener.security.protocol.map"

var securityProtocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

// protocolMap reads NAME:PROTOCOL,...
func (b *builder) protocolMap() map[string]string {
	m := map[string]string{}
	for _, item := range csv(b.c.values[protocolMapKey]) {
		i := strings.LastIndexByte(item, ':')
		if i < 0 {
			b.refuse(protocolMapKey, item+" is not NAME:PROTOCOL")
			return m
		}
		protocol := strings.ToUpper(trim(item[i+1:]))
		if !slices.Contains(securityProtocols, protocol) {
			b.refuse(protocolMapKey, fmt.Sprintf("Invalid security protocol `%s`, one of: %s", trim(item[i+1:]), strings.Join(securityProtocols, ", ")))
			return m
		}
		m[strings.ToUpper(trim(item[:i]))] = protocol
	}
	return m
}

// endpoints reads the listeners of a key. Those that are advertised may share ports.
func (b *builder) endpoints(key string, protocols map[string]string) []Listener {
	var out []Listener
	for _, item := range csv(b.c.values[key]) {
		l, reason := parseEndpoint(item)
		if reason == "" && !b.bad[protocolMapKey] {
			var ok bool
			if l.Protocol, ok = protocols[l.Name]; !ok {
				reason = "No security protocol defined for listener " + l.Name
			}
		}
		if reason != "" {
			b.refuse(key, reason)
			return out
		}
		out = append(out, l)
	}
	if reason := clash(out, key == "listeners"); reason != "" {
		b.refuse(key, reason)
	}
	return out
}

func parseEndpoint(item string) (Listener, string) {
	m := endpointPattern.FindStringSubmatch(item)
	if m == nil {
		return Listener{}, "Unable to parse " + item + " to a broker endpoint"
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil || port < 0 || port > 65535 {
		return Listener{}, "Port of " + item + " is not between 0 and 65535"
	}
	return Listener{Name: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}, ""
}

// clash reports two listeners that cannot be together: one name twice, or one port twice, unless it is for exactly one
// IPv4 and one IPv6 address (KIP-797). Port 0 is any free port.
func clash(all []Listener, distinctPorts bool) string {
	names := map[string]bool{}
	byPort := map[int32][]Listener{}
	for _, l := range all {
		if names[l.Name] {
			return "Each listener must have a different name"
		}
		names[l.Name] = true
		if l.Port != 0 {
			byPort[l.Port] = append(byPort[l.Port], l)
		}
	}
	for port, same := range byPort {
		if !distinctPorts || len(same) < 2 {
			continue
		}
		if len(same) > 2 || family(same[0].Host)+family(same[1].Host) != 4+6 {
			return fmt.Sprintf("Each listener must have a different port, unless exactly one has an IPv4 and the other an IPv6 address; port %d", port)
		}
	}
	return ""
}

// family is 4, 6, or 0 for what is no address.
func family(host string) int {
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return 0
	case addr.Is4():
		return 4
	}
	return 6
}

// listenerConfig is what holds on one listener; without name, on one that has nothing of its own.
func (b *builder) listenerConfig(name, protocol string) ListenerConfig {
	prefix := listenerPrefix + strings.ToLower(name) + "."
	get := func(key string) any {
		if v, ok := b.c.values[prefix+key]; ok {
			return v
		}
		return b.c.values[key]
	}
	var l ListenerConfig
	fill(reflect.ValueOf(&l).Elem(), get)

	// Asking for client certificates on SASL_SSL has to be meant (KIP-684).
	if _, own := b.c.values[prefix+"ssl.client.auth"]; protocol == "SASL_SSL" && !own {
		l.SSL.ClientAuth = "none"
	}
	l.SASL.JAAS = map[string]string{}
	l.SASL.ConnectionsMaxReauth = map[string]time.Duration{"": duration(get("connections.max.reauth.ms"), time.Millisecond)}
	if text, ok := get("sasl.jaas.config").(string); ok {
		l.SASL.JAAS[""] = text
	}
	for key, v := range b.c.values {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if mechanism, ok := strings.CutSuffix(rest, ".sasl.jaas.config"); ok && v != nil {
			l.SASL.JAAS[strings.ToUpper(mechanism)] = v.(string)
		}
		if mechanism, ok := strings.CutSuffix(rest, ".connections.max.reauth.ms"); ok {
			l.SASL.ConnectionsMaxReauth[strings.ToUpper(mechanism)] = duration(v, time.Millisecond)
		}
	}
	return l
}

func (c *Config) advertisedNames() []string {
	names := make([]string, len(c.Advertised))
	for i, l := range c.Advertised {
		names[i] = l.Name
	}
	return names
}
