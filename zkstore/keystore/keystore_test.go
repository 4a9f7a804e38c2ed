package keystore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCertificate(t *testing.T) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "b1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return key, cert
}

// check: the key store at path has a usable certificate of b1, and the trust store one authority.
func check(t *testing.T, name string, key, trust Store) {
	t.Helper()
	c, err := key.Certificate()
	if err != nil || c.PrivateKey == nil || c.Leaf == nil || c.Leaf.Subject.CommonName != "b1" {
		t.Errorf("%s: %v", name, err)
	}
	if _, err := trust.Roots(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	key.Password, key.KeyPassword = "wrong", ""
	if _, err := key.Certificate(); err == nil && name != "PEM" {
		t.Errorf("%s: a wrong password opens the key store", name)
	}
}

func TestStores(t *testing.T) {
	key, cert := newCertificate(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	dir := t.TempDir()
	file := func(name string, data []byte) Store {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, data, 0o600))
		return Store{Location: path, Password: "secret", KeyPassword: "secret"}
	}

	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	check(t, "PEM", file("key.pem", append(keyPEM, certPEM...)), file("trust.pem", certPEM))

	p12, err := pkcs12.Modern.Encode(key, cert, nil, "secret")
	must(t, err)
	trust12, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{cert}, "secret")
	must(t, err)
	check(t, "PKCS12", file("key.p12", p12), file("trust.p12", trust12))

	entry := keystore.Certificate{Type: "X.509", Content: cert.Raw}
	jks, trustJKS := keystore.New(), keystore.New()
	must(t, jks.SetPrivateKeyEntry("b1", keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: pkcs8, CertificateChain: []keystore.Certificate{entry}}, []byte("secret")))
	must(t, trustJKS.SetTrustedCertificateEntry("ca", keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: entry}))
	var b, tb bytes.Buffer
	must(t, jks.Store(&b, []byte("secret")))
	must(t, trustJKS.Store(&tb, []byte("secret")))
	check(t, "JKS", file("key.jks", b.Bytes()), file("trust.jks", tb.Bytes()))

	for name, data := range map[string][]byte{
		"empty": {}, "junk": []byte("junk"), "jks": {0xFE, 0xED, 0xFE, 0xED, 0, 0}, "no key": certPEM,
		"encrypted": []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
	} {
		if _, err := file("bad", data).Certificate(); err == nil {
			t.Errorf("%s is a key store", name)
		}
	}
	for name, data := range map[string][]byte{"empty": {}, "junk": []byte("junk"), "no certificate": keyPEM} {
		if _, err := file("bad", data).Roots(); err == nil {
			t.Errorf("%s is a trust store", name)
		}
	}
}

// TestKeytool reads what Java's own tool writes, where there is one.
func TestKeytool(t *testing.T) {
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		t.Skip("SKIPPED: no keytool on the PATH")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(keytool, append([]string{"-J-XX:TieredStopAtLevel=1"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("keytool %v: %s", args, out)
		}
	}
	for _, kind := range []string{"PKCS12", "JKS"} {
		run("-genkeypair", "-alias", "b1", "-keyalg", "EC", "-dname", "CN=b1", "-storetype", kind, "-keystore", "key."+kind, "-storepass", "secret", "-keypass", "secret")
		run("-exportcert", "-rfc", "-alias", "b1", "-keystore", "key."+kind, "-storepass", "secret", "-file", "cert."+kind)
		run("-importcert", "-noprompt", "-alias", "ca", "-file", "cert."+kind, "-storetype", kind, "-keystore", "trust."+kind, "-storepass", "secret")
		in := func(name string) Store { return Store{Location: filepath.Join(dir, name+"."+kind), Password: "secret"} }
		check(t, kind, in("key"), in("trust"))
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		names           []string
		lowest, highest uint16
	}{
		{nil, 0, 0},
		{[]string{"TLSv1.2"}, tls.VersionTLS12, tls.VersionTLS12},
		{[]string{"TLSv1.3", " TLSv1.2"}, tls.VersionTLS12, tls.VersionTLS13},
	} {
		lowest, highest, err := Versions(c.names)
		if err != nil || lowest != c.lowest || highest != c.highest {
			t.Error(c.names, lowest, highest, err)
		}
	}
	if _, _, err := Versions([]string{"SSLv3"}); err == nil {
		t.Error("SSLv3 was taken")
	}
}
