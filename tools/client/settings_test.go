package client

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func TestParseBootstrap(t *testing.T) {
	for list, want := range map[string][]string{
		"a:1":                      {"a:1"},
		" a:1 , b:2,":              {"a:1", "b:2"},
		"PLAINTEXT://a:1,[::1]:92": {"a:1", "[::1]:92"},
	} {
		if got, err := parseBootstrap(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for list, want := range map[string]string{
		"nonsense":  "Invalid url in bootstrap.servers: nonsense",
		"a:1,b":     "Invalid url in bootstrap.servers: b",
		":1":        "Invalid url in bootstrap.servers: :1",
		"a:99999":   "Invalid port in bootstrap.servers: a:99999",
		"":          "No resolvable bootstrap urls given in bootstrap.servers",
		"a b:1":     "Invalid url in bootstrap.servers: a b:1",
		"a:1:x,b:2": "Invalid url in bootstrap.servers: a:1:x",
	} {
		if _, err := parseBootstrap(list); err == nil || err.Error() != want {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestSecuritySettings(t *testing.T) {
	conf, err := Properties{
		"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "client.id": "me",
		"sasl.jaas.config":                      `x.ScramLoginModule required username="u" password="p";`,
		"ssl.endpoint.identification.algorithm": "", "ssl.enabled.protocols": "TLSv1.3",
	}.Sarama("fallback")
	if err != nil {
		t.Fatal(err)
	}
	if s := conf.Net.SASL; !s.Enable || s.Mechanism != sarama.SASLTypeSCRAMSHA512 || s.User != "u" || s.Password != "p" {
		t.Errorf("SASL %+v", s)
	}
	if c := conf.Net.TLS.Config; !conf.Net.TLS.Enable || c.MinVersion != tls.VersionTLS13 || c.VerifyConnection == nil {
		t.Errorf("TLS %+v", c)
	}
	if conf.ClientID != "me" {
		t.Errorf("client id %s", conf.ClientID)
	}
	for _, bad := range []Properties{
		{"security.protocol": "nope"},
		{"security.protocol": "SASL_PLAINTEXT"},
		{"security.protocol": "SASL_PLAINTEXT", "sasl.jaas.config": "x required a=b;", "sasl.mechanism": "PLAIN"},
		{"security.protocol": "SASL_PLAINTEXT", "sasl.jaas.config": "x required username=a password=b;", "sasl.mechanism": "GSSAPI"},
		{"security.protocol": "SSL", "ssl.truststore.location": "missing.pem"},
		{"security.protocol": "SSL", "ssl.enabled.protocols": "SSLv2"},
		{"request.timeout.ms": "soon"},
		{"request.timeout.ms": "-1"},
	} {
		if _, err := bad.Sarama("x"); err == nil || !errors.As(err, new(*Error)) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestLoginFile: without sasl.jaas.config the login is that of the file named in KAFKA_OPTS.
func TestLoginFile(t *testing.T) {
	p := Properties{"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}
	file := filepath.Join(t.TempDir(), "jaas.conf")
	for text, want := range map[string]string{
		`KafkaClient { x.PlainLoginModule required username="u" password="p"; };`: "",
		`KafkaServer { x.PlainLoginModule required username="u" password="p"; };`: "Could not find a 'KafkaClient' entry in the JAAS configuration. System property 'java.security.auth.login.config' is " + file,
		`KafkaClient {`: "section KafkaClient is not closed",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("KAFKA_OPTS", "-Djava.security.auth.login.config="+file)
		conf, err := p.Sarama("x")
		switch {
		case want == "" && (err != nil || conf.Net.SASL.User != "u" || conf.Net.SASL.Password != "p"):
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestParseProperties(t *testing.T) {
	p, err := ParseProperties([]byte("# comment\na = b ${HOME} \\\n  c\nk:v\nempty=\nflag\n"))
	if err != nil || p["a"] != "b ${HOME} c" || p["k"] != "v" || p.text("empty", "x") != "x" {
		t.Errorf("%v, %v", p, err)
	}
}

func TestTopicFilter(t *testing.T) {
	for _, c := range []struct {
		expression string
		matches    []string
		others     []string
	}{
		{"o.*", []string{"o", "orders"}, []string{"foo"}},
		{"a, b", []string{"a", "b"}, []string{"ab", "a, b"}},
		{`"a|b"`, []string{"a", "b"}, []string{"ab"}},
		{`a\.b`, []string{"a.b"}, []string{"axb"}},
		{"", []string{""}, []string{"a"}},
	} {
		f, err := TopicFilter(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range c.matches {
			if !f(name) {
				t.Errorf("%q does not match %q", c.expression, name)
			}
		}
		for _, name := range c.others {
			if f(name) {
				t.Errorf("%q matches %q", c.expression, name)
			}
		}
	}
	if _, err := TopicFilter("a("); err == nil || err.Error() != "a( is an invalid regex." {
		t.Errorf("%v", err)
	}
}
