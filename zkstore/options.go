package zkstore

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Options say how to reach ZooKeeper. Names in brackets are Kafka's config keys.
type Options struct {
	Connect        string        // "host:port[,host:port...][/chroot]" (zookeeper.connect)
	SessionTimeout time.Duration // default 18 s; the server may clamp it (zookeeper.session.timeout.ms)
	ConnectTimeout time.Duration // for the first connection; default: SessionTimeout (zookeeper.connection.timeout.ms)
	MaxInFlight    int           // unanswered requests allowed; 0: a default made for bulk reads (zookeeper.max.in.flight.requests)
	MaxPacket      int           // largest answer read; default 4 MiB, as Kafka sets jute.maxbuffer. A listing of 100,000 topics needs more
	TLS            *tls.Config   // nil: plain text; see [TLSOptions]
	Auth           []Auth        // credentials given on every connection, e.g. scheme "digest", data "user:password"
	SASL           *SASL         // nil: none
	SetACL         bool          // protect what we create; needs TLS with our certificate, Auth or SASL (zookeeper.set.acl)
	Logger         *zap.Logger   // nil: none
	Metrics        *Metrics      // nil: none
}

// Auth is one credential of ZooKeeper's addauth kind.
type Auth struct {
	Scheme string
	Data   []byte
}

// SASL is a DIGEST-MD5 login, as a JAAS section Client with DigestLoginModule gives.
type SASL struct {
	Username string
	Password string
}

const (
	defaultSessionTimeout = 18 * time.Second
	// Kafka's default of 10 keeps a round trip of waiting in every ten requests: a take-over that reads 20,000
	// partition states would spend most of its time waiting.
	defaultInFlight  = 256
	defaultMaxPacket = 4 << 20
	defaultPort      = "2181"
)

func (o Options) withDefaults() Options {
	o.SessionTimeout = cmp.Or(o.SessionTimeout, defaultSessionTimeout)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, o.SessionTimeout)
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultInFlight
	}
	if o.MaxPacket <= 0 {
		o.MaxPacket = defaultMaxPacket
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

// Validate says what is wrong with the options, if anything is, before anybody connects.
func (o Options) Validate() error {
	if _, _, err := splitConnect(o.Connect); err != nil {
		return err
	}
	if o.SetACL && o.SASL == nil && len(o.Auth) == 0 &&
		(o.TLS == nil || len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil) {
		return fmt.Errorf("zookeeper.set.acl needs an identity towards ZooKeeper: SASL, a digest or a client certificate")
	}
	return nil
}

// splitConnect takes a connect string apart. The chroot is what follows the first slash, or empty.
func splitConnect(connect string) (hosts []string, chroot string, err error) {
	list, root, _ := strings.Cut(connect, "/")
	if root = strings.Trim(root, "/"); root != "" {
		chroot = "/" + root
	}
	for h := range strings.SplitSeq(list, ",") {
		if h = strings.TrimSpace(h); h == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), defaultPort)
			if _, _, err := net.SplitHostPort(h); err != nil {
				return nil, "", fmt.Errorf("zookeeper.connect %q: %w", connect, err)
			}
		}
		hosts = append(hosts, h)
	}
	if len(hosts) == 0 {
		return nil, "", fmt.Errorf("zookeeper.connect %q names no host", connect)
	}
	return hosts, chroot, nil
}
