package zkstore

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// BrokerRegistration is what a broker says of itself in /brokers/ids/<id>.
type BrokerRegistration struct {
	ID        meta.BrokerID
	Endpoints []meta.Endpoint
	Rack      string    // empty: none
	JMXPort   int32     // -1: none
	Timestamp time.Time // of the start; informative
	Version   int       // of the format: 5, or 4 below inter.broker.protocol.version 2.7, 2 below 0.10.0; 0 means 5
}

const registrationVersion = 5

const plaintext = "PLAINTEXT"

// protocols are the security protocols a listener may be mapped to.
var protocols = map[string]bool{plaintext: true, "SSL": true, "SASL_PLAINTEXT": true, "SASL_SSL": true}

// encodeBroker writes what Kafka's BrokerIdZNode writes:
//
//	v5 {"features":{},"listener_security_protocol_map":{..},"endpoints":["PLAINTEXT://b1:9092"],"rack":"r1",
//	    "jmx_port":-1,"port":9092,"host":"b1","version":5,"timestamp":"1700000000000"}
//	v4 without features, v2 also without the map and the rack
//
// host and port, for old consumers, are those of the first endpoint whose protocol is PLAINTEXT.
func encodeBroker(r BrokerRegistration) []byte {
	version := r.Version
	if version == 0 {
		version = registrationVersion
	}
	b := []byte("{")
	if version >= 5 {
		b = append(b, `"features":{},`...)
	}
	if version >= 4 {
		b = append(b, `"listener_security_protocol_map":{`...)
		for i, e := range r.Endpoints {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, e.Listener)
			b = append(b, ':')
			b = appendString(b, e.Protocol)
		}
		b = append(b, "},"...)
	}
	b = append(b, `"endpoints":`...)
	b = appendList(b, r.Endpoints, func(b []byte, e meta.Endpoint) []byte {
		return appendString(b, endpointText(e))
	})
	if r.Rack != "" && version >= 3 {
		b = append(b, `,"rack":`...)
		b = appendString(b, r.Rack)
	}
	b = append(b, `,"jmx_port":`...)
	b = appendInt(b, r.JMXPort)
	host, port := "null", int32(-1)
	for _, e := range r.Endpoints {
		if e.Protocol == plaintext {
			host, port = string(appendString(nil, e.Host)), e.Port
			break
		}
	}
	b = append(b, `,"port":`...)
	b = appendInt(b, port)
	b = append(b, `,"host":`...)
	b = append(b, host...)
	b = append(b, `,"version":`...)
	b = appendInt(b, version)
	b = append(b, `,"timestamp":"`...)
	b = appendInt(b, r.Timestamp.UnixMilli())
	return append(b, `"}`...)
}

// endpointText is "NAME://host:port", with brackets around an IPv6 host.
func endpointText(e meta.Endpoint) string {
	host := e.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return e.Listener + "://" + host + ":" + strconv.Itoa(int(e.Port))
}

var endpointForm = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

func decodeBroker(id meta.BrokerID, data []byte) (BrokerRegistration, error) {
	r := BrokerRegistration{ID: id}
	o, err := parseObject(data)
	if err != nil {
		return r, err
	}
	if r.Version, err = mandatory(o, "version", asInt[int](32)); err != nil {
		return r, err
	}
	if r.Version < 1 {
		return r, fmt.Errorf("version %d", r.Version)
	}
	if r.JMXPort, err = mandatory(o, "jmx_port", asInt[int32](32)); err != nil {
		return r, err
	}
	if r.Rack, err = optional(o, "rack", asString, ""); err != nil {
		return r, err
	}
	r.Timestamp, _ = optional(o, "timestamp", asTimestamp, time.Time{})
	r.Endpoints, err = decodeEndpoints(o, r.Version)
	return r, err
}

func decodeEndpoints(o object, version int) ([]meta.Endpoint, error) {
	if version == 1 {
		host, err := mandatory(o, "host", asString)
		if err != nil {
			return nil, err
		}
		port, err := mandatory(o, "port", asInt[int32](32))
		return []meta.Endpoint{{Listener: plaintext, Protocol: plaintext, Host: host, Port: port}}, err
	}
	var names map[string]string // listener to protocol; nil: a listener's name is its protocol
	if raw, found := o["listener_security_protocol_map"]; found && string(raw) != "null" {
		m, err := asStringMap(raw)
		if err != nil {
			return nil, err
		}
		names = m
	}
	texts, err := mandatory(o, "endpoints", asStrings)
	if err != nil {
		return nil, err
	}
	endpoints := make([]meta.Endpoint, 0, len(texts))
	seen := make(map[string]bool, len(texts))
	for _, text := range texts {
		e, err := parseEndpoint(text, names)
		if err != nil {
			return nil, fmt.Errorf("endpoint %.100q: %w", text, err)
		}
		if seen[e.Listener] {
			return nil, fmt.Errorf("two endpoints of listener %s", e.Listener)
		}
		seen[e.Listener] = true
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

func parseEndpoint(text string, names map[string]string) (meta.Endpoint, error) {
	m := endpointForm.FindStringSubmatch(text)
	if m == nil {
		return meta.Endpoint{}, errors.New("not NAME://host:port")
	}
	port, err := strconv.ParseInt(m[3], 10, 32)
	if err != nil {
		return meta.Endpoint{}, err
	}
	e := meta.Endpoint{Listener: strings.ToUpper(m[1]), Host: m[2], Port: int32(port)}
	e.Protocol = e.Listener
	if names != nil {
		e.Protocol = names[e.Listener]
	}
	if !protocols[e.Protocol] {
		return meta.Endpoint{}, fmt.Errorf("no security protocol %q", e.Protocol)
	}
	return e, nil
}
