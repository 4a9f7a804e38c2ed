package client

import (
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
