package keystore

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// Store is one file.
type Store struct {
	Location    string
	Password    string
	KeyPassword string // of the private key within; empty: Password
}

var (
	pemStart = []byte("-----BEGIN ")
	jksMagic = []byte{0xFE, 0xED, 0xFE, 0xED}
)

var errNoKey = errors.New("no private key")

// Certificate returns the private key in the store and its certificate chain; the first, if there are several.
func (s Store) Certificate() (tls.Certificate, error) {
	data, err := os.ReadFile(s.Location)
	if err != nil {
		return tls.Certificate{}, err
	}
	c, err := s.certificate(data)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key store %s: %w", s.Location, err)
	}
	return c, nil
}

func (s Store) certificate(data []byte) (tls.Certificate, error) {
	switch {
	case bytes.Contains(data, pemStart):
		if bytes.Contains(data, []byte("ENCRYPTED")) {
			return tls.Certificate{}, errors.New("an encrypted private key in a PEM file is not supported; PKCS #12 is")
		}
		return tls.X509KeyPair(data, data)
	case bytes.HasPrefix(data, jksMagic):
		return s.fromJKS(data)
	}
	key, leaf, others, err := pkcs12.DecodeChain(data, s.Password)
	if err != nil {
		return tls.Certificate{}, err
	}
	c := tls.Certificate{PrivateKey: key, Certificate: [][]byte{leaf.Raw}, Leaf: leaf}
	for _, o := range others {
		c.Certificate = append(c.Certificate, o.Raw)
	}
	return c, nil
}

func (s Store) fromJKS(data []byte) (c tls.Certificate, err error) {
	ks, err := s.loadJKS(data)
	if err != nil {
		return c, err
	}
	password := s.KeyPassword
	if password == "" {
		password = s.Password
	}
	aliases := ks.Aliases()
	slices.Sort(aliases)
	for _, alias := range aliases {
		if !ks.IsPrivateKeyEntry(alias) {
			continue
		}
		entry, err := ks.GetPrivateKeyEntry(alias, []byte(password))
		if err != nil {
			return c, err
		}
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		if err != nil {
			return c, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok || len(entry.CertificateChain) == 0 {
			return c, fmt.Errorf("entry %s has no usable key and certificate", alias)
		}
		c.PrivateKey = signer
		for _, cert := range entry.CertificateChain {
			c.Certificate = append(c.Certificate, cert.Content)
		}
		c.Leaf, err = x509.ParseCertificate(c.Certificate[0])
		return c, err
	}
	return c, errNoKey
}

func (s Store) loadJKS(data []byte) (keystore.KeyStore, error) {
	ks := keystore.New(keystore.WithOrderedAliases())
	err := ks.Load(bytes.NewReader(data), []byte(s.Password))
	return ks, err
}

// Roots returns the certificates in the store as those to trust.
func (s Store) Roots() (*x509.CertPool, error) {
	data, err := os.ReadFile(s.Location)
	if err != nil {
		return nil, err
	}
	certs, err := s.trusted(data)
	if err == nil && len(certs) == 0 {
		err = errors.New("no certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("trust store %s: %w", s.Location, err)
	}
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool, nil
}

func (s Store) trusted(data []byte) (certs []*x509.Certificate, err error) {
	switch {
	case bytes.Contains(data, pemStart):
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type != "CERTIFICATE" {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			certs = append(certs, c)
		}
		return certs, nil
	case bytes.HasPrefix(data, jksMagic):
		ks, err := s.loadJKS(data)
		if err != nil {
			return nil, err
		}
		for _, alias := range ks.Aliases() {
			if !ks.IsTrustedCertificateEntry(alias) {
				continue
			}
			entry, err := ks.GetTrustedCertificateEntry(alias)
			if err != nil {
				return nil, err
			}
			c, err := x509.ParseCertificate(entry.Certificate.Content)
			if err != nil {
				return nil, err
			}
			certs = append(certs, c)
		}
		return certs, nil
	}
	return pkcs12.DecodeTrustStore(data, s.Password)
}
