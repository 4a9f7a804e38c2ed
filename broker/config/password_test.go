package config

import (
	"os"
	"strings"
	"testing"
)

// The lines were written by Kafka's PasswordEncoder: both ciphers, three key derivations.
func TestPasswordsOfKafka(t *testing.T) {
	text, err := os.ReadFile("testdata/passwords.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 6 {
		t.Fatal(len(lines))
	}
	for _, l := range lines {
		if got, err := (passwordEncoder{secret: "the secret"}).decode(l); err != nil || got != "p\u00e4ss, w\U0001f600rd: 1" {
			t.Errorf("%q %v from %s", got, err, l)
		}
		if got, err := (passwordEncoder{secret: "another"}).decode(l); err == nil {
			t.Errorf("%q with the wrong secret", got)
		}
	}
}

func TestPasswordRoundTrip(t *testing.T) {
	for _, cipher := range []string{cbc, gcm} {
		for _, password := range []string{"", "x", strings.Repeat("y", 16), "\U0001f600"} {
			e := passwordEncoder{secret: "s", cipher: cipher, keyLength: 128, iterations: 1024}
			text, err := e.encode(password)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.decode(text); err != nil || got != password {
				t.Errorf("%s %q: %q %v", cipher, password, got, err)
			}
			if again, _ := e.encode(password); again == text {
				t.Error("the same text twice")
			}
		}
	}
	for _, e := range []passwordEncoder{
		{cipher: cbc, keyLength: 128, iterations: 1024},
		{secret: "s", cipher: "DES/CBC/PKCS5Padding", keyLength: 128, iterations: 1024},
		{secret: "s", cipher: cbc, keyLength: 64, iterations: 1024},
		{secret: "s", cipher: cbc, keyLength: 128, iterations: 1024, keyFactory: "PBEWithMD5AndDES"},
	} {
		if text, err := e.encode("x"); err == nil {
			t.Errorf("%+v: %s", e, text)
		}
	}
}

// A znode may hold anything.
func FuzzDecodePassword(f *testing.F) {
	text, err := os.ReadFile("testdata/passwords.txt")
	if err != nil {
		f.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		f.Add(l)
	}
	f.Add("iterations:1,keyLength:128,keyFactoryAlgorithm:PBKDF2WithHmacSHA1,cipherAlgorithm:AES/CBC/PKCS5Padding,encryptedPassword:,initializationVector:AAAAAAAAAAAAAAAAAAAAAA==")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "iterations:") && !strings.Contains(text, "iterations:1024") && !strings.Contains(text, "iterations:1,") {
			t.Skip("many rounds only take long")
		}
		_, _ = passwordEncoder{secret: "the secret"}.decode(text)
	})
}
