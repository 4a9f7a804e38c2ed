package client

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// hostPort is what Java's clients take for an address: an optional scheme, a name, IPv4 or bracketed IPv6, a port.
var hostPort = regexp.MustCompile(`^(?:.*?://)?\[?([0-9a-zA-Z\-%._:]*)\]?:([0-9]+)$`)

// parseBootstrap splits a list like host:9092,[::1]:9093.
func parseBootstrap(list string) ([]string, error) {
	var seeds []string
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		m := hostPort.FindStringSubmatch(entry)
		if m == nil || m[1] == "" {
			return nil, &Error{Class: ConfigException, Message: "Invalid url in bootstrap.servers: " + entry}
		}
		if port, err := strconv.ParseUint(m[2], 10, 16); err != nil || port == 0 {
			return nil, &Error{Class: ConfigException, Message: "Invalid port in bootstrap.servers: " + entry}
		}
		seeds = append(seeds, net.JoinHostPort(m[1], m[2]))
	}
	if len(seeds) == 0 {
		return nil, &Error{Class: ConfigException, Message: "No resolvable bootstrap urls given in bootstrap.servers"}
	}
	return seeds, nil
}
