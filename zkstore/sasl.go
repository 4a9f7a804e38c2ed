package zkstore

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ZooKeeper carries SASL in requests of its own: {int32 xid, int32 102, buffer token}, answered by the server's token,
// first an empty one of ours for its challenge. The library does not know them, so the exchange happens before the
// library gets hold of the connection. DIGEST-MD5 (RFC 2831, quality of protection auth) is what ZooKeeper's own
// DigestLoginModule speaks; it proves a shared password to both sides and protects nothing of what follows.
const (
	opSASL        = 102
	maxToken      = 64 << 10
	saslService   = "zookeeper/zk-sasl-md5" // digest-uri: ZooKeeper's fixed service and server name
	nonceCount    = "00000001"
	saslAuthOnly  = "auth"
	errAuthFailed = -115
)

// login proves who we are. It runs between the connection response and the first request.
func (w *wireConn) login(a *SASL) error {
	challenge, err := w.saslStep(nil)
	if err != nil {
		return err
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	response, expected, err := digestMD5(a, saslService, string(challenge), base64.StdEncoding.EncodeToString(nonce))
	if err != nil {
		return fmt.Errorf("SASL: %w", err)
	}
	final, err := w.saslStep([]byte(response))
	if err != nil {
		return err
	}
	if string(final) != "rspauth="+expected {
		return fmt.Errorf("SASL: %w: the server does not know the password", ErrAuthFailed)
	}
	return nil
}

func (w *wireConn) saslStep(token []byte) ([]byte, error) {
	b := binary.BigEndian.AppendUint32(nil, uint32(12+len(token)))
	b = binary.BigEndian.AppendUint32(b, 0) // xid; the library's begin at 1
	b = binary.BigEndian.AppendUint32(b, opSASL)
	b = binary.BigEndian.AppendUint32(b, uint32(len(token)))
	if _, err := w.Conn.Write(append(b, token...)); err != nil {
		return nil, err
	}
	frame, err := w.frame(maxToken)
	if errors.Is(err, io.EOF) {
		// What a server does that was told not to keep connections whose login failed.
		return nil, fmt.Errorf("SASL: %w: connection closed", ErrAuthFailed)
	}
	if err != nil {
		return nil, fmt.Errorf("SASL: %w", err)
	}
	reply := ownReplyOf(frame)
	switch {
	case reply.code == errAuthFailed:
		return nil, fmt.Errorf("SASL: %w", ErrAuthFailed)
	case reply.err != nil:
		return nil, fmt.Errorf("SASL: %w", reply.err)
	case len(reply.data) < 4:
		return nil, fmt.Errorf("SASL: %w", errShortReply)
	}
	n := int32(binary.BigEndian.Uint32(reply.data))
	if n < 0 {
		return nil, nil
	}
	if int(n) > len(reply.data)-4 {
		return nil, fmt.Errorf("SASL: %w", errShortReply)
	}
	return reply.data[4 : 4+n], nil
}

// digestMD5 answers a challenge, and says what the server must answer to that.
func digestMD5(a *SASL, uri, challenge, cnonce string) (response, expected string, err error) {
	c, err := directives(challenge)
	if err != nil {
		return "", "", err
	}
	if c["nonce"] == "" || c["algorithm"] != "md5-sess" {
		return "", "", errors.New("not a challenge of DIGEST-MD5")
	}
	if qop := c["qop"]; qop != "" && !containsToken(qop, saslAuthOnly) {
		return "", "", fmt.Errorf("the server insists on quality of protection %q", qop)
	}
	md := func(s string) []byte { sum := md5.Sum([]byte(s)); return sum[:] }
	hexed := func(s string) string { return hex.EncodeToString(md(s)) }
	ha1 := hexed(string(md(a.Username+":"+c["realm"]+":"+a.Password)) + ":" + c["nonce"] + ":" + cnonce)
	proof := func(a2 string) string {
		return hexed(strings.Join([]string{ha1, c["nonce"], nonceCount, cnonce, saslAuthOnly, hexed(a2)}, ":"))
	}
	response = fmt.Sprintf(`charset=utf-8,username=%s,realm=%s,nonce=%s,nc=%s,cnonce=%s,digest-uri=%s,maxbuf=65536,response=%s,qop=%s`,
		quoted(a.Username), quoted(c["realm"]), quoted(c["nonce"]), nonceCount, quoted(cnonce), quoted(uri),
		proof("AUTHENTICATE:"+uri), saslAuthOnly)
	return response, proof(":" + uri), nil
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func containsToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(t) == token {
			return true
		}
	}
	return false
}

// directives takes `key=value,key="quoted value"` apart.
func directives(s string) (map[string]string, error) {
	m := map[string]string{}
	for s = strings.TrimLeft(s, ", "); s != ""; s = strings.TrimLeft(s, ", ") {
		key, rest, found := strings.Cut(s, "=")
		if !found {
			return nil, fmt.Errorf("challenge: %.40q is not key=value", s)
		}
		var value strings.Builder
		if rest, found = strings.CutPrefix(rest, `"`); !found {
			plain, after, _ := strings.Cut(rest, ",")
			value.WriteString(plain)
			s = after
		} else {
			i := 0
			for ; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				value.WriteByte(rest[i])
			}
			if i == len(rest) {
				return nil, errors.New("challenge: quote is not closed")
			}
			s = rest[i+1:]
		}
		m[strings.TrimSpace(key)] = value.String()
	}
	return m, nil
}
