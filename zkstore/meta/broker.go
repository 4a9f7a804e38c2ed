package meta

import (
	"net"
	"strconv"
)

// Endpoint is one advertised listener of a broker.
type Endpoint struct {
	Listener string // listener name, upper case, e.g. "PLAINTEXT" or "INTERNAL"
	Protocol string // security protocol: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL
	Host     string
	Port     int32
}

// Addr returns "host:port", with brackets around an IPv6 host.
func (e Endpoint) Addr() string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// Broker is one registered (live) broker.
type Broker struct {
	ID        BrokerID
	Epoch     BrokerEpoch // czxid of the registration
	Endpoints []Endpoint
	Rack      string // empty: none
}

// Endpoint returns the endpoint of the named listener.
func (b Broker) Endpoint(listener string) (Endpoint, bool) {
	for _, e := range b.Endpoints {
		if e.Listener == listener {
			return e, true
		}
	}
	return Endpoint{}, false
}
