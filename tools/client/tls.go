package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/keystore"
)

// tlsConfig reads the ssl.* settings.
func (p Properties) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{}
	var err error
	enabled := p.text("ssl.enabled.protocols", "TLSv1.2,TLSv1.3")
	if config.MinVersion, config.MaxVersion, err = keystore.Versions(list(enabled)); err != nil {
		return nil, invalid("ssl.enabled.protocols", enabled, err.Error())
	}
	suites := p.text("ssl.cipher.suites", "")
	if config.CipherSuites, err = keystore.CipherSuites(list(suites)); err != nil {
		return nil, invalid("ssl.cipher.suites", suites, err.Error())
	}
	if config.RootCAs, err = p.roots(); err != nil {
		return nil, storeFailed("truststore", err)
	}
	if config.Certificates, err = p.certificates(); err != nil {
		return nil, storeFailed("keystore", err)
	}
	if v, set := p["ssl.endpoint.identification.algorithm"]; set && strings.TrimSpace(v) == "" {
		verifyChainOnly(config)
	}
	return config, nil
}

// roots is whom to trust: nil for the system's.
func (p Properties) roots() (*x509.CertPool, error) {
	if inline := p.text("ssl.truststore.certificates", ""); inline != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(inline)) {
			return nil, errors.New("ssl.truststore.certificates holds no certificate")
		}
		return pool, nil
	}
	file := p.text("ssl.truststore.location", "")
	if file == "" {
		return nil, nil
	}
	return keystore.Store{Location: file, Password: p["ssl.truststore.password"]}.Roots()
}

// certificates is who we are: nobody, or one certificate.
func (p Properties) certificates() ([]tls.Certificate, error) {
	var certificate tls.Certificate
	var err error
	if chain := p.text("ssl.keystore.certificate.chain", ""); chain != "" {
		certificate, err = tls.X509KeyPair([]byte(chain), []byte(p["ssl.keystore.key"]))
	} else if file := p.text("ssl.keystore.location", ""); file != "" {
		certificate, err = keystore.Store{Location: file, Password: p["ssl.keystore.password"], KeyPassword: p["ssl.key.password"]}.Certificate()
	} else {
		return nil, nil
	}
	return []tls.Certificate{certificate}, err
}

func storeFailed(store string, err error) error {
	return &Error{Class: KafkaException, Message: "Failed to load SSL " + store, Cause: err}
}

// verifyChainOnly checks the broker's chain but not that the certificate names the broker's host.
func verifyChainOnly(config *tls.Config) {
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the broker sent no certificate")
		}
		options := x509.VerifyOptions{Roots: config.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

// list splits at commas; empty entries do not count.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
