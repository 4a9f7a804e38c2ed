package zkstore

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/kraal-mq/kraal/zkstore/keystore"
)

// TLSOptions are Kafka's zookeeper.ssl.* keys. The types of the stores show in the files: PEM, PKCS #12 or JKS.
type TLSOptions struct {
	KeystoreLocation, KeystorePassword     string   // our certificate; empty: none
	TruststoreLocation, TruststorePassword string   // whom we believe; empty: the system's roots
	Protocol                               string   // default TLSv1.2 (zookeeper.ssl.protocol)
	EnabledProtocols                       []string // empty: Protocol alone
	CipherSuites                           []string // empty: Go's choice
	NoHostnameVerification                 bool     // zookeeper.ssl.endpoint.identification.algorithm is blank
}

// Config loads the key stores.
func (o TLSOptions) Config() (*tls.Config, error) {
	protocols := o.EnabledProtocols
	if len(protocols) == 0 {
		protocols = []string{cmp.Or(o.Protocol, "TLSv1.2")}
	}
	c := &tls.Config{}
	var err error
	if c.MinVersion, c.MaxVersion, err = keystore.Versions(protocols); err != nil {
		return nil, err
	}
	if c.CipherSuites, err = keystore.CipherSuites(o.CipherSuites); err != nil {
		return nil, err
	}
	if o.KeystoreLocation != "" {
		cert, err := keystore.Store{Location: o.KeystoreLocation, Password: o.KeystorePassword}.Certificate()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{cert}
	}
	if o.TruststoreLocation != "" {
		if c.RootCAs, err = (keystore.Store{Location: o.TruststoreLocation, Password: o.TruststorePassword}).Roots(); err != nil {
			return nil, err
		}
	}
	if o.NoHostnameVerification {
		c.InsecureSkipVerify = true // of the name; VerifyConnection sees to the chain
		c.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the server has no certificate")
			}
			opts := x509.VerifyOptions{Roots: c.RootCAs, Intermediates: x509.NewCertPool()}
			for _, cert := range state.PeerCertificates[1:] {
				opts.Intermediates.AddCert(cert)
			}
			_, err := state.PeerCertificates[0].Verify(opts)
			return err
		}
	}
	return c, nil
}
