package keystore

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// Versions turns Java's names of TLS versions into the lowest and highest; none in, none out.
func Versions(names []string) (lowest, highest uint16, err error) {
	for _, name := range names {
		var v uint16
		switch strings.TrimSpace(name) {
		case "TLSv1.3":
			v = tls.VersionTLS13
		case "TLSv1.2", "TLS":
			v = tls.VersionTLS12
		case "TLSv1.1":
			v = tls.VersionTLS11
		case "TLSv1":
			v = tls.VersionTLS10
		default:
			return 0, 0, fmt.Errorf("unknown TLS version %q", name)
		}
		if lowest == 0 || v < lowest {
			lowest = v
		}
		highest = max(highest, v)
	}
	return lowest, highest, nil
}

// CipherSuites turns the names that Java and Go share into Go's numbers. Names Go has no suite for are passed over as long
// as one is left. The suites of TLS 1.3 are always on.
func CipherSuites(names []string) ([]uint16, error) {
	known := map[string]uint16{}
	for _, suites := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, c := range suites {
			known[c.Name] = c.ID
		}
	}
	var ids []uint16
	for _, name := range names {
		if id, found := known[strings.TrimSpace(name)]; found {
			ids = append(ids, id)
		}
	}
	if len(names) > 0 && len(ids) == 0 {
		return nil, fmt.Errorf("none of the cipher suites %s is supported", strings.Join(names, ", "))
	}
	return ids, nil
}
