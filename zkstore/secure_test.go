package zkstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/tools/testkit"
	"github.com/kraal-mq/kraal/zkstore/meta"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

const jaas = `Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required
  user_kafka="kafka-secret" user_other="other-secret";
};
`

func saslServer(t *testing.T) *zktest.Server {
	return zktest.Start(t, zktest.File("jaas.conf", jaas),
		zktest.JVM("-Djava.security.auth.login.config=DIR/jaas.conf"),
		zktest.Config("authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider"))
}

func as(user, password string) func(*Options) {
	return func(o *Options) { o.SASL = &SASL{user, password} }
}

func setACL(o *Options) { o.SetACL = true }

// With zookeeper.set.acl a start is, write for write, that of a secured broker of Kafka below a chroot.
func TestGoldenSecureStart(t *testing.T) {
	server := saslServer(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	const chroot = "/kafka/cluster-a"
	z := openAt(t, p.addr()+chroot, as("kafka", "kafka-secret"), setACL)
	want := trace(t, "secure-start")
	must(t, z.EnsurePersistentPaths(ctx))
	id, err := z.ClusterID(ctx)
	must(t, err)
	for i, r := range want {
		switch {
		case r.Path == clusterIDPath:
			data := string(encodeClusterID(id))
			want[i].Data = &data
		case r.Op == "setData" && r.Path == brokerSequencePath:
			if n, err := z.BrokerSequenceID(ctx); err != nil || n != 1 {
				t.Error(n, err)
			}
		case r.at() == BrokerPath(1001):
			b, err := decodeBroker(1001, []byte(*r.Ops[1].Data))
			must(t, err)
			_, err = z.RegisterBroker(ctx, b, 0)
			must(t, err)
			must(t, z.EnsureTokenPaths(ctx))
		case len(r.Ops) > 0 && r.at() == controllerEpochPath:
			c, err := decodeController([]byte(*r.Ops[0].Data))
			must(t, err)
			won, err := z.Elect(ctx, c.ID, c.Timestamp)
			must(t, err)
			_, err = z.SetFeature(ctx, Feature{Version: 2, Enabled: true})
			must(t, err)
			must(t, z.DeletePreferredElection(ctx, won.Fence()))
		}
	}
	got := p.taken()
	for i := range got {
		got[i].Path = strings.TrimPrefix(got[i].Path, chroot)
		for j := range got[i].Ops {
			got[i].Ops[j].Path = strings.TrimPrefix(got[i].Ops[j].Path, chroot)
		}
	}
	for i := range want { // what makes the chroot itself was recorded with whole paths
		want[i].Path = strings.TrimPrefix(want[i].Path, chroot)
	}
	compare(t, got, want, false)

	// And it means what it should: others may read what is not sensitive, and write nothing.
	must(t, z.SetConfig(ctx, meta.Entity{Type: meta.UserEntity, Name: "alice"}, map[string]string{"k": "v"}))
	for _, change := range []func(*Options){func(*Options) {}, as("other", "other-secret")} {
		stranger := openAt(t, server.Addr()+chroot, change)
		if _, err := stranger.Controller(ctx); err != nil {
			t.Error(err)
		}
		if _, err := stranger.Config(ctx, meta.Entity{Type: meta.UserEntity, Name: "alice"}); !errors.Is(err, ErrNoAuth) {
			t.Error(err)
		}
		if err := stranger.SetTopic(ctx, Unfenced(), "t", meta.TopicAssignment{}); err == nil {
			t.Error("a stranger wrote")
		}
		if _, err := stranger.BrokerSequenceID(ctx); !errors.Is(err, ErrNoAuth) {
			t.Error(err)
		}
		es := slices.Repeat([]meta.Entity{{Type: meta.UserEntity, Name: "alice"}}, 20)
		if _, broken, err := stranger.Configs(ctx, es); err != nil || !errors.Is(broken[es[0]], ErrNoAuth) {
			t.Error(broken, err)
		}
	}
}

// The login is repeated on every connection.
func TestSASLOverReconnect(t *testing.T) {
	server := saslServer(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	z := openAt(t, p.addr(), as("kafka", "kafka-secret"), setACL)
	must(t, z.EnsurePersistentPaths(ctx))
	p.cut()
	eventually(t, "connected again", func() bool { return p.connections() == 2 })
	if n, err := z.BrokerSequenceID(ctx); err != nil || n != 1 {
		t.Error(n, err)
	}
	_, err := Connect(ctx, Options{Connect: server.Addr(), SASL: &SASL{"kafka", "wrong"}, SessionTimeout: 4 * time.Second})
	if !errors.Is(err, ErrAuthFailed) {
		t.Error(err)
	}
}

// The example of RFC 2831, section 4.
func TestDigestMD5(t *testing.T) {
	challenge := `realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",algorithm=md5-sess,charset=utf-8`
	response, expected, err := digestMD5(&SASL{"chris", "secret"}, "imap/elwood.innosoft.com", challenge, "OA6MHXh6VqTrRk")
	must(t, err)
	for _, part := range []string{`username="chris"`, `realm="elwood.innosoft.com"`, `nonce="OA6MG9tEQGm2hh"`, `nc=00000001`, `cnonce="OA6MHXh6VqTrRk"`,
		`digest-uri="imap/elwood.innosoft.com"`, `response=d388dad90d4bbd760a152321f2143af7`, `qop=auth`} {
		if !strings.Contains(response, part) {
			t.Errorf("no %s in %s", part, response)
		}
	}
	if expected != "ea40f60335c427b5527b84dbabcdfffd" {
		t.Error(expected)
	}
	for _, bad := range []string{"", "x", `nonce="a`, `nonce=a,algorithm=md5`, `nonce=a,algorithm=md5-sess,qop="auth-conf"`} {
		if _, _, err := digestMD5(&SASL{}, saslService, bad, "c"); err == nil {
			t.Errorf("%q was answered", bad)
		}
	}
}

func TestDigestScheme(t *testing.T) {
	server := zktest.Start(t)
	ctx := testContext(t)
	p := newTap(t, server.Addr())
	digest := func(o *Options) { o.Auth = []Auth{{"digest", []byte("kafka:secret")}} }
	z := openAt(t, p.addr()+"/k", digest, setACL)
	must(t, z.EnsurePersistentPaths(ctx))
	p.cut()
	if n, err := z.BrokerSequenceID(ctx); err != nil || n != 1 {
		t.Error(n, err)
	}
	if _, err := openAt(t, server.Addr()+"/k").BrokerSequenceID(ctx); !errors.Is(err, ErrNoAuth) {
		t.Error(err)
	}
	if n, err := openAt(t, server.Addr()+"/k", digest).BrokerSequenceID(ctx); err != nil || n != 2 {
		t.Error(n, err)
	}
	_, err := Connect(ctx, Options{Connect: server.Addr(), Auth: []Auth{{"no-such-scheme", nil}}, SessionTimeout: 4 * time.Second})
	if !errors.Is(err, ErrAuthFailed) {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	ca := testkit.NewAuthority(t)
	server := zktest.Start(t, zktest.Secure("server.pem", "ca.pem"),
		zktest.File("server.pem", ca.Issue("zk", net.IPv4(127, 0, 0, 1))), zktest.File("ca.pem", ca.PEM))
	ctx := testContext(t)
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	with := func(o TLSOptions) func(*Options) {
		c, err := o.Config()
		must(t, err)
		return func(o *Options) { o.TLS = c }
	}
	ours := TLSOptions{KeystoreLocation: write("kafka.pem", ca.Issue("kafka")), TruststoreLocation: write("ca.pem", ca.PEM)}
	z := openAt(t, server.SecureAddr()+"/k", with(ours), setACL)
	must(t, z.EnsurePersistentPaths(ctx))
	if n, err := z.BrokerSequenceID(ctx); err != nil || n != 1 {
		t.Error(n, err)
	}
	if _, err := openAt(t, server.Addr()+"/k").BrokerSequenceID(ctx); !errors.Is(err, ErrNoAuth) {
		t.Error("the certificate's name is not what the ACL asks for:", err)
	}
	acl, _, err := z.s.conn.GetACL("/k/brokers/seqid")
	if err != nil || len(acl) != 2 || acl[0].Scheme != "x509" || acl[0].ID != "CN=kafka" {
		t.Error(acl, err)
	}
	ours.EnabledProtocols = []string{"TLSv1.2", "TLSv1.3"}
	ours.CipherSuites = []string{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_KRB5_WITH_3DES_EDE_CBC_MD5"}
	if _, err := openAt(t, server.SecureAddr()+"/k", with(ours)).TopicNames(ctx); err != nil {
		t.Error(err)
	}

	refused := func(o TLSOptions, want any) {
		t.Helper()
		c, err := o.Config()
		must(t, err)
		_, err = Connect(ctx, Options{Connect: strings.Replace(server.SecureAddr(), "127.0.0.1", "localhost", 1), TLS: c, SessionTimeout: 4 * time.Second, ConnectTimeout: time.Second})
		if !errors.As(err, want) {
			t.Errorf("%v", err)
		}
	}
	refused(ours, new(x509.HostnameError))
	strangers := ours
	strangers.TruststoreLocation = write("other.pem", testkit.NewAuthority(t).PEM)
	refused(strangers, new(*tls.CertificateVerificationError))
	strangers.NoHostnameVerification = true
	refused(strangers, new(x509.UnknownAuthorityError))
	ours.NoHostnameVerification = true
	if _, err := openAt(t, strings.Replace(server.SecureAddr(), "127.0.0.1", "localhost", 1)+"/k", with(ours)).TopicNames(ctx); err != nil {
		t.Error(err)
	}
	for _, bad := range []TLSOptions{{Protocol: "SSLv3"}, {CipherSuites: []string{"NONE"}}, {KeystoreLocation: "none"}, {TruststoreLocation: ours.KeystoreLocation + "x"}} {
		if _, err := bad.Config(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
