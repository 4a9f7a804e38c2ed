package client

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
)

// keyPair reads a PEM key store: a PKCS#8 key and its chain, in any order.
func keyPair(text []byte) (tls.Certificate, error) {
	var chain, key []byte
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE":
			chain = append(chain, pem.EncodeToMemory(block)...)
		case "ENCRYPTED PRIVATE KEY":
			return tls.Certificate{}, errors.New("encrypted private keys are not supported: decrypt it with openssl pkcs8")
		default:
			key = pem.EncodeToMemory(block)
		}
	}
	return tls.X509KeyPair(chain, key)
}
