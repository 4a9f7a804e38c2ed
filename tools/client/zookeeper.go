package client

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/broker/sasl/jaas"
	"github.com/kraal-mq/kraal/zkstore"
)

// zooKeeperTimeout is both the session's and how long Kafka's tools wait for the first connection.
const zooKeeperTimeout = 30 * time.Second

// ZooKeeper opens a session for the tools that read and write znodes themselves. A properties file with zookeeper.ssl.*
// settings makes it TLS, the login configuration that KAFKA_OPTS names has them log in; with an identity they protect what
// they create, as Kafka's do. Whoever opens it closes it.
func ZooKeeper(ctx context.Context, connect, tlsFile string) (*zkstore.Store, error) {
	options := zkstore.Options{Connect: connect, SessionTimeout: zooKeeperTimeout, ConnectTimeout: zooKeeperTimeout}
	login, err := jaas.ZooKeeperLogin("", jaas.SystemProperties(os.Getenv("KAFKA_OPTS")))
	if err != nil {
		return nil, &Error{Class: KafkaException, Message: err.Error()}
	}
	if login != nil {
		options.SASL, options.SetACL = (*zkstore.SASL)(login), true
	}
	if tlsFile != "" {
		p, err := ReadProperties(tlsFile)
		if err != nil {
			return nil, err
		}
		if p.text("zookeeper.ssl.client.enable", "false") == "true" {
			if options.TLS, err = p.zooKeeperTLS().Config(); err != nil {
				return nil, storeFailed("key or trust store of the ZooKeeper client", err)
			}
			options.SetACL = options.SetACL || p.text("zookeeper.ssl.keystore.location", "") != ""
		}
	}
	session, err := zkstore.Connect(ctx, options)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &Error{Class: "kafka.zookeeper.ZooKeeperClientTimeoutException",
			Message: "Timed out waiting for connection while in state: CONNECTING", Cause: err}
	} else if err != nil {
		return nil, &Error{Class: "kafka.zookeeper.ZooKeeperClientException", Message: err.Error()}
	}
	return zkstore.New(session), nil
}

func (p Properties) zooKeeperTLS() zkstore.TLSOptions {
	verify, set := p["zookeeper.ssl.endpoint.identification.algorithm"]
	return zkstore.TLSOptions{
		KeystoreLocation:       p.text("zookeeper.ssl.keystore.location", ""),
		KeystorePassword:       p["zookeeper.ssl.keystore.password"],
		TruststoreLocation:     p.text("zookeeper.ssl.truststore.location", ""),
		TruststorePassword:     p["zookeeper.ssl.truststore.password"],
		Protocol:               p.text("zookeeper.ssl.protocol", ""),
		EnabledProtocols:       list(p["zookeeper.ssl.enabled.protocols"]),
		CipherSuites:           list(p["zookeeper.ssl.cipher.suites"]),
		NoHostnameVerification: set && strings.TrimSpace(verify) == "",
	}
}
