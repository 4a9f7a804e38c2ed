package zkstore

import "crypto/tls"

// TLSOptions are Kafka's zookeeper.ssl.* keys.
type TLSOptions struct {
	KeystoreLocation, KeystorePassword, KeystoreType       string   // our certificate; empty: none. Types PEM, PKCS12, JKS; empty: by extension
	TruststoreLocation, TruststorePassword, TruststoreType string   // whom we believe; empty: the system's roots
	Protocol                                               string   // default TLSv1.2 (zookeeper.ssl.protocol)
	EnabledProtocols                                       []string // empty: Protocol alone
	CipherSuites                                           []string // Java or Go names; empty: Go's choice
	NoHostnameVerification                                 bool     // zookeeper.ssl.endpoint.identification.algorithm is blank
}

// Config loads the key stores.
func (o TLSOptions) Config() (*tls.Config, error) { return nil, errPending }
