package client

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Node is an open connection to one broker.
type Node struct {
	*sarama.Broker
	Address string

	conn          net.Conn // what sarama.Broker talks over
	config        *sarama.Config
	apis          []sarama.ApiVersionsResponseKey
	correlationID int32
}

// dial connects and authenticates.
func dial(address string, config *sarama.Config) (*Node, error) {
	n := &Node{Broker: sarama.NewBroker(address), Address: address}
	// sarama shows its connection to nobody, so it gets it from us: the last one dialed is the one in use.
	own := *config
	own.Net.TLS.Enable = false
	own.Net.Proxy.Enable = true
	own.Net.Proxy.Dialer = dialer(func(network, address string) (net.Conn, error) {
		conn, err := connect(network, address, config)
		n.conn = conn
		return conn, err
	})
	n.config = &own
	if err := n.Open(n.config); err != nil {
		return nil, err
	}
	if connected, err := n.Connected(); err != nil {
		return nil, err
	} else if !connected {
		return nil, io.ErrUnexpectedEOF
	}
	return n, nil
}

type dialer func(network, address string) (net.Conn, error)

func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

func connect(network, address string, config *sarama.Config) (net.Conn, error) {
	d := &net.Dialer{Timeout: config.Net.DialTimeout}
	conn, err := d.Dial(network, address)
	if err != nil || !config.Net.TLS.Enable {
		return conn, err
	}
	own := config.Net.TLS.Config.Clone()
	own.ServerName, _, _ = net.SplitHostPort(address)
	secure := tls.Client(conn, own)
	conn.SetDeadline(time.Now().Add(config.Net.ReadTimeout))
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, handshakeFailed(err)
	}
	conn.SetDeadline(time.Time{})
	return secure, nil
}

// handshakeFailed keeps a lost connection, which may be tried again, apart from a refusal.
func handshakeFailed(err error) error {
	var lost net.Error
	if errors.As(err, &lost) || errors.Is(err, io.EOF) {
		return err
	}
	return &Error{Class: SSLAuthentication, Message: "SSL handshake failed", Cause: err}
}

// APIs lists what the broker offers.
func (n *Node) APIs() ([]sarama.ApiVersionsResponseKey, error) {
	if n.apis == nil {
		resp, err := n.ApiVersions(&sarama.ApiVersionsRequest{Version: 3, ClientSoftwareName: "kraal", ClientSoftwareVersion: "1"})
		if err != nil {
			return nil, err
		}
		if err := FromCode(resp.ErrorCode, nil); err != nil {
			return nil, err
		}
		n.apis = resp.ApiKeys
	}
	return n.apis, nil
}

// Supports returns the highest version of an API that both the broker and this side know, or false.
func (n *Node) Supports(key, newest int16) (int16, bool, error) {
	apis, err := n.APIs()
	if err != nil {
		return 0, false, err
	}
	i := slices.IndexFunc(apis, func(a sarama.ApiVersionsResponseKey) bool { return a.ApiKey == key })
	if i < 0 || apis[i].MinVersion > newest {
		return 0, false, nil
	}
	return min(newest, apis[i].MaxVersion), true, nil
}

// maxResponse bounds what a broker may make us allocate.
const maxResponse = 256 << 20

// Request exchanges one request that sarama does not model, in the highest version both sides know but not above
// newest. sarama reads its connection only while one of its own requests is waiting, and a Node is used by one
// goroutine, so between two of sarama's exchanges the connection is ours.
func (n *Node) Request(req kmsg.Request, newest int16) (kmsg.Response, error) {
	version, ok, err := n.Supports(req.Key(), newest)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, Unsupported(kmsg.NameForKey(req.Key()))
	}
	req.SetVersion(version)
	n.correlationID++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(n.config.ClientID)).AppendRequest(nil, req, n.correlationID)
	n.conn.SetDeadline(time.Now().Add(n.config.Net.ReadTimeout))
	if _, err := n.conn.Write(frame); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(n.conn, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 4 || size > maxResponse {
		return nil, fmt.Errorf("%w: response of %d bytes", io.ErrUnexpectedEOF, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(n.conn, body); err != nil {
		return nil, err
	}
	if got := int32(binary.BigEndian.Uint32(body)); got != n.correlationID {
		return nil, fmt.Errorf("%w: correlation id %d instead of %d", io.ErrUnexpectedEOF, got, n.correlationID)
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	body = body[4:]
	if resp.IsFlexible() && resp.Key() != 18 { // a flexible response header ends with tags; ApiVersions' never does
		if body, err = skipTags(body); err != nil {
			return nil, err
		}
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("response to %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	return resp, nil
}

// skipTags drops the tagged fields at the start of b.
func skipTags(b []byte) ([]byte, error) {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	for tags := next(); tags > 0; tags-- {
		next()
		size := next()
		if size > uint64(len(b)) {
			return nil, io.ErrUnexpectedEOF
		}
		b = b[size:]
	}
	return b, nil
}
