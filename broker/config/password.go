package config

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf16"
)

// passwordEncoder encrypts passwords for storage in ZooKeeper, in the format of Kafka's EncryptingPasswordEncoder:
//
//	keyFactoryAlgorithm:PBKDF2WithHmacSHA512,cipherAlgorithm:AES/CBC/PKCS5Padding,keyLength:128,salt:<base64>,
//	iterations:4096,encryptedPassword:<base64>,passwordLength:6,initializationVector:<base64>
//
// in any order. AES/GCM/NoPadding has an authenticationTagLength besides.
type passwordEncoder struct {
	secret     string
	keyFactory string // empty: PBKDF2WithHmacSHA512
	cipher     string
	keyLength  int32 // bits
	iterations int32
}

const (
	cbc = "AES/CBC/PKCS5Padding"
	gcm = "AES/GCM/NoPadding"

	saltBytes = 256
	// maxIterations keeps a stored text from occupying the broker for hours.
	maxIterations = 10_000_000
)

var errNoSecret = errors.New("Password encoder secret not configured")

func (e passwordEncoder) encode(password string) (string, error) {
	if e.secret == "" {
		return "", errNoSecret
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	factory := e.keyFactory
	if factory == "" {
		factory = "PBKDF2WithHmacSHA512"
	}
	key, err := deriveKey(factory, e.secret, salt, int(e.iterations), int(e.keyLength))
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	fields := []string{
		"keyFactoryAlgorithm:" + factory,
		"cipherAlgorithm:" + e.cipher,
		"keyLength:" + strconv.Itoa(int(e.keyLength)),
		"salt:" + base64.StdEncoding.EncodeToString(salt),
		"iterations:" + strconv.Itoa(int(e.iterations)),
		"passwordLength:" + strconv.Itoa(javaLength(password)),
	}
	var iv, sealed []byte
	switch e.cipher {
	case cbc:
		iv = make([]byte, aes.BlockSize)
		rand.Read(iv)
		pad := aes.BlockSize - len(password)%aes.BlockSize
		sealed = append([]byte(password), strings.Repeat(string(rune(pad)), pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	case gcm:
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return "", err
		}
		iv = make([]byte, aead.NonceSize())
		rand.Read(iv)
		sealed = aead.Seal(nil, iv, []byte(password), nil)
		fields = append(fields, "authenticationTagLength:"+strconv.Itoa(aead.Overhead()*8))
	default:
		return "", fmt.Errorf("password.encoder.cipher.algorithm %s is not one of %s, %s", e.cipher, cbc, gcm)
	}
	fields = append(fields,
		"encryptedPassword:"+base64.StdEncoding.EncodeToString(sealed),
		"initializationVector:"+base64.StdEncoding.EncodeToString(iv))
	return strings.Join(fields, ","), nil
}

var errUndecodable = errors.New("the stored password cannot be decrypted; was password.encoder.secret changed?")

// decode goes by the parameters in the text, not by the configured ones.
func (e passwordEncoder) decode(text string) (string, error) {
	if e.secret == "" {
		return "", errNoSecret
	}
	fields := map[string]string{}
	for _, item := range strings.Split(text, ",") {
		if i := strings.LastIndexByte(item, ':'); i > 0 {
			fields[trim(item[:i])] = trim(item[i+1:])
		}
	}
	number := func(name string) int { n, _ := strconv.Atoi(fields[name]); return n }
	binary := func(name string) []byte { b, _ := base64.StdEncoding.DecodeString(fields[name]); return b }

	if n := number("iterations"); n < 1 || n > maxIterations {
		return "", errUndecodable
	}
	key, err := deriveKey(fields["keyFactoryAlgorithm"], e.secret, binary("salt"), number("iterations"), number("keyLength"))
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	iv, sealed := binary("initializationVector"), binary("encryptedPassword")
	var clear []byte
	switch fields["cipherAlgorithm"] {
	case cbc:
		if len(iv) != aes.BlockSize || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
			return "", errUndecodable
		}
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(sealed, sealed)
		if clear = unpad(sealed); clear == nil {
			return "", errUndecodable
		}
	case gcm:
		aead, err := cipher.NewGCM(block)
		if err != nil || len(iv) != aead.NonceSize() || number("authenticationTagLength") != aead.Overhead()*8 {
			return "", errUndecodable
		}
		if clear, err = aead.Open(nil, iv, sealed, nil); err != nil {
			return "", errUndecodable
		}
	default:
		return "", fmt.Errorf("cipher %q is not one of %s, %s", fields["cipherAlgorithm"], cbc, gcm)
	}
	if javaLength(string(clear)) != number("passwordLength") {
		return "", errUndecodable
	}
	return string(clear), nil
}

// unpad removes PKCS padding; nil if there is none.
func unpad(b []byte) []byte {
	n := int(b[len(b)-1])
	if n < 1 || n > aes.BlockSize {
		return nil
	}
	for _, p := range b[len(b)-n:] {
		if int(p) != n {
			return nil
		}
	}
	return b[:len(b)-n]
}

func deriveKey(factory, secret string, salt []byte, iterations, bits int) ([]byte, error) {
	var h func() hash.Hash
	switch factory {
	case "PBKDF2WithHmacSHA1":
		h = sha1.New
	case "PBKDF2WithHmacSHA256":
		h = sha256.New
	case "PBKDF2WithHmacSHA512":
		h = sha512.New
	default:
		return nil, fmt.Errorf("key derivation %q is not one of PBKDF2WithHmacSHA1, -SHA256, -SHA512", factory)
	}
	if bits != 128 && bits != 192 && bits != 256 {
		return nil, fmt.Errorf("a key length of %d bits is not one of AES: 128, 192, 256", bits)
	}
	return pbkdf2.Key(h, secret, salt, iterations, bits/8)
}

// javaLength is the number of UTF-16 units, which is what Java calls the length of a string.
func javaLength(s string) int { return len(utf16.Encode([]rune(s))) }
