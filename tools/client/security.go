package client

import (
	"fmt"
	"os"
	"strings"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"github.com/kraal-mq/kraal/broker/sasl/jaas"
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
	module, err := p.loginModule()
	if err != nil {
		return err
	}
	sasl := &conf.Net.SASL
	sasl.Enable, sasl.Handshake, sasl.Version = true, true, sarama.SASLHandshakeV1
	sasl.User, sasl.Password = module.Options["username"], module.Options["password"]
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

// loginModule is what sasl.jaas.config says, or else the section KafkaClient of the login configuration that KAFKA_OPTS names
// (JaasContext.java).
func (p Properties) loginModule() (jaas.Module, error) {
	if text := p.text("sasl.jaas.config", ""); text != "" {
		modules, err := jaas.ParseModules(text)
		if err == nil && len(modules) > 1 {
			err = fmt.Errorf("JAAS config property contains %d login modules, should be 1 module", len(modules))
		}
		if err != nil {
			return jaas.Module{}, &Error{Class: IllegalArgument, Message: err.Error()}
		}
		return modules[0], nil
	}
	system := jaas.SystemProperties(os.Getenv("KAFKA_OPTS"))
	file, err := jaas.Open(system)
	if err != nil {
		return jaas.Module{}, &Error{Class: KafkaException, Message: err.Error()}
	}
	if modules := file.Section("KafkaClient"); modules != nil {
		return modules[0], nil
	}
	is := "not set"
	if file != nil {
		is = file.Name()
	}
	return jaas.Module{}, &Error{Class: IllegalArgument,
		Message: "Could not find a 'KafkaClient' entry in the JAAS configuration. System property '" + jaas.FileProperty + "' is " + is}
}
