package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// applySecurity turns security.protocol, sasl.* and ssl.* into sarama's settings.
func (p Properties) applySecurity(conf *sarama.Config) error {
	protocol := strings.ToUpper(p.text("security.protocol", "PLAINTEXT"))
	switch protocol {
	case "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL":
	default:
		return invalid("security.protocol", p["security.protocol"],
			"String must be one of (case insensitive): SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT")
	}
	if strings.HasSuffix(protocol, "SSL") {
		config, err := p.tlsConfig()
		if err != nil {
			return err
		}
		conf.Net.TLS.Enable, conf.Net.TLS.Config = true, config
	}
	if strings.HasPrefix(protocol, "SASL_") {
		return p.applySASL(conf)
	}
	return nil
}

func (p Properties) applySASL(conf *sarama.Config) error {
	text := p.text("sasl.jaas.config", "")
	if text == "" {
		return &Error{Class: KafkaException, Message: "SASL needs sasl.jaas.config"}
	}
	_, options, err := parseJAAS(text)
	if err != nil {
		return err
	}
	sasl := &conf.Net.SASL
	sasl.Enable, sasl.Handshake, sasl.Version = true, true, sarama.SASLHandshakeV1
	sasl.User, sasl.Password = options["username"], options["password"]
	switch mechanism := p.text("sasl.mechanism", "GSSAPI"); mechanism {
	case "PLAIN":
		sasl.Mechanism = sarama.SASLTypePlaintext
	case "SCRAM-SHA-256":
		sasl.Mechanism = sarama.SASLTypeSCRAMSHA256
		sasl.SCRAMClientGeneratorFunc = scramGenerator(scram.SHA256)
	case "SCRAM-SHA-512":
		sasl.Mechanism = sarama.SASLTypeSCRAMSHA512
		sasl.SCRAMClientGeneratorFunc = scramGenerator(scram.SHA512)
	default:
		return invalid("sasl.mechanism", mechanism, "these tools know PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512")
	}
	if sasl.User == "" || sasl.Password == "" {
		return &Error{Class: KafkaException, Message: "sasl.jaas.config names no username or no password"}
	}
	return nil
}

var tlsVersions = map[string]uint16{"TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}

func (p Properties) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}
	for name := range strings.SplitSeq(p.text("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"), ",") {
		v, ok := tlsVersions[strings.TrimSpace(name)]
		if !ok {
			return nil, invalid("ssl.enabled.protocols", name, "unknown TLS version")
		}
		config.MinVersion, config.MaxVersion = min(config.MinVersion, v), max(config.MaxVersion, v)
	}
	trusted, err := p.pem("ssl.truststore", "ssl.truststore.certificates")
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(trusted) {
			return nil, &Error{Class: KafkaException, Message: "the trust store holds no certificate"}
		}
	}
	own, err := p.pem("ssl.keystore", "ssl.keystore.certificate.chain", "ssl.keystore.key")
	if err != nil {
		return nil, err
	}
	if own != nil {
		cert, err := keyPair(own)
		if err != nil {
			return nil, fmt.Errorf("key store: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	if v, set := p["ssl.endpoint.identification.algorithm"]; set && strings.TrimSpace(v) == "" {
		verifyChainOnly(config)
	}
	return config, nil
}

// pem returns a store's text: the values of the inline settings if there are any, else the file at STORE.location.
func (p Properties) pem(store string, inline ...string) ([]byte, error) {
	var text strings.Builder
	for _, key := range inline {
		if v := p.text(key, ""); v != "" {
			text.WriteString(v + "\n")
		}
	}
	if text.Len() > 0 {
		return []byte(text.String()), nil
	}
	file := p.text(store+".location", "")
	if file == "" {
		return nil, nil
	}
	if kind := strings.ToUpper(p.text(store+".type", "JKS")); kind != "PEM" {
		return nil, invalid(store+".type", kind, "these tools read PEM files (convert with keytool and openssl)")
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{Class: KafkaException, Message: "Failed to load SSL keystore " + file + " of type PEM", Cause: err}
	}
	return pem, nil
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
