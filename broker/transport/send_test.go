package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// memory is a section like wire.Bytes that has to be read.
type memory []byte

func (m memory) Len() int                                  { return len(m) }
func (m memory) ReadAt(p []byte, off int64) (int, error)   { return wire.Bytes(m).ReadAt(p, off) }
func (m memory) File() (file syscall.Conn, position int64) { return nil, 0 }
func (m memory) Release()                                  {}

// slice is a section of a file.
type slice struct {
	file     *os.File
	pos      int64
	n        int
	released *atomic.Int32
}

func (s slice) Len() int                                { return s.n }
func (s slice) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, s.pos+off) }
func (s slice) File() (syscall.Conn, int64)             { return s.file, s.pos }
func (s slice) Release()                                { s.released.Add(1) }

func fetchRequest(version int16) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	return req
}

func fetchOf(sections ...wire.Section) *wire.FetchResponse {
	topic := wire.FetchTopic{Topic: "t"}
	for i, s := range sections {
		p := wire.NewFetchPartition(int32(i), wire.None)
		p.Records = s
		topic.Partitions = append(topic.Partitions, p)
	}
	return &wire.FetchResponse{Version: 11, Topics: []wire.FetchTopic{topic}}
}

func randomFile(t testing.TB, size int) (*os.File, []byte) {
	content := make([]byte, size)
	rand.Read(content)
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, content
}

// TestFetchFromFiles sends sections of all kinds and sizes, over plain connections and TLS, in versions where records end
// the frame and where they do not.
func TestFetchFromFiles(t *testing.T) {
	file, content := randomFile(t, 12<<20)
	var released atomic.Int32
	cut := func(pos, n int) wire.Section { return slice{file, int64(pos), n, &released} }
	sections := func() []wire.Section {
		return []wire.Section{
			cut(100, 10), cut(0, 5<<20), nil, wire.Bytes(content[7:300_007]), cut(12<<20-70_000, 70_000),
			memory(content[9:700_009]), wire.Bytes(content[:20]), cut(5, 40_000), cut(6<<20, 3<<20),
		}
	}
	want := [][]byte{
		content[100:110], content[:5<<20], {}, content[7:300_007], content[12<<20-70_000:],
		content[9:700_009], content[:20], content[5:40_005], content[6<<20 : 9<<20],
	}
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		resp := fetchOf(sections()...)
		resp.Version = r.Header.Version
		return Reply{Body: resp}
	}), func(o *Options) {
		o.SendBuffer = 100 << 10
		o.Listeners = append(o.Listeners, Listener{Name: "SSL", Protocol: "SSL", Address: "127.0.0.1:0", SecureConn: serverTLS(t)})
	})
	for _, listener := range []string{"PLAINTEXT", "SSL"} {
		c := s.dial(listener)
		if listener == "SSL" {
			c = newClient(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
		}
		for i, version := range []int16{4, 11, 12, 17, 11} {
			c.send(fetchRequest(version), int32(i))
			resp := c.expect(fetchRequest(version), int32(i)).(*kmsg.FetchResponse)
			for j, p := range resp.Topics[0].Partitions {
				if !bytes.Equal(p.RecordBatches, want[j]) {
					t.Fatalf("%s version %d: section %d differs", listener, version, j)
				}
			}
		}
	}
	if n := released.Load(); n != 2*5*5 {
		t.Errorf("%d of %d file sections released", n, 2*5*5)
	}
}

// TestLastSectionIsNotHeldBack: the kernel keeps back a short packet if told that more follows, for 200 ms.
func TestLastSectionIsNotHeldBack(t *testing.T) {
	file, content := randomFile(t, 1<<20)
	var released atomic.Int32
	kinds := map[string]wire.Section{
		"file":   slice{file, 0, 100_001, &released},
		"bytes":  wire.Bytes(content[:100_001]),
		"copied": memory(content[:100_001]),
	}
	for name, section := range kinds {
		s := serve(t, handler(func(_ context.Context, r *Request) Reply { return Reply{Body: fetchOf(section)} }), nil)
		c := s.dial("PLAINTEXT")
		fastest := time.Hour
		for i := range int32(5) {
			start := time.Now()
			c.send(fetchRequest(11), i)
			c.expect(fetchRequest(11), i)
			fastest = min(fastest, time.Since(start))
		}
		if fastest > 150*time.Millisecond {
			t.Errorf("%s: never faster than %v", name, fastest)
		}
	}
}

// TestFailedReadClosesTheConnection: once a size is announced there is no way to say that something went wrong.
func TestFailedReadClosesTheConnection(t *testing.T) {
	file, _ := randomFile(t, 100_000)
	closed, _ := randomFile(t, 100_000)
	closed.Close()
	var released atomic.Int32
	for name, section := range map[string]wire.Section{
		"short file":          slice{file, 50_000, 100_000, &released},
		"small in short file": slice{file, 99_999, 100, &released},
		"closed file":         slice{closed, 0, 100_000, &released},
		"failing":             failing{100_000},
		"failing, small":      failing{100},
	} {
		s := serve(t, handler(func(_ context.Context, r *Request) Reply { return Reply{Body: fetchOf(section)} }), nil)
		c := s.dial("PLAINTEXT")
		c.send(fetchRequest(11), 1)
		if buf, err := c.frames.Next(1 << 30); err == nil || isTimeout(err) {
			t.Errorf("%s: %v, %v", name, buf, err)
		}
	}
	if released.Load() != 3 {
		t.Errorf("%d of 3 sections released", released.Load())
	}
}

type failing struct{ n int }

func (f failing) Len() int                              { return f.n }
func (failing) ReadAt(p []byte, off int64) (int, error) { return 0, errors.New("disk failure") }
func (failing) File() (syscall.Conn, int64)             { return nil, 0 }
func (failing) Release()                                {}

func serverTLS(t testing.TB) func(context.Context, net.Conn) (*tls.Conn, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return func(ctx context.Context, raw net.Conn) (*tls.Conn, error) {
		c := tls.Server(raw, config)
		return c, c.HandshakeContext(ctx)
	}
}

func TestTLS(t *testing.T) {
	principals := make(chan Principal, 1)
	s := serve(t, handler(func(_ context.Context, r *Request) Reply {
		if r.Conn.TLS() == nil {
			t.Error("no TLS state")
		}
		principals <- r.Conn.Principal()
		return Reply{Body: responseTo(r)}
	}), func(o *Options) {
		o.Listeners = []Listener{{
			Name: "SSL", Protocol: "SSL", Address: "127.0.0.1:0", SecureConn: serverTLS(t),
			Principal: func(state *tls.ConnectionState) (Principal, error) {
				if state.ServerName == "stranger" {
					return Principal{}, errors.New("unknown")
				}
				return Principal{Type: "User", Name: "CN=" + state.ServerName}, nil
			},
		}}
	})
	c := newClient(t, tls.Client(s.dial("SSL").Conn, &tls.Config{InsecureSkipVerify: true, ServerName: "somebody"}))
	c.send(heartbeat(4), 1)
	c.expect(heartbeat(4), 1)
	if p := within(t, "request", principals); p.Name != "CN=somebody" {
		t.Errorf("principal %v", p)
	}
	c = newClient(t, tls.Client(s.dial("SSL").Conn, &tls.Config{InsecureSkipVerify: true, ServerName: "stranger"}))
	c.Write(wire.AppendRequest(nil, heartbeat(0), 1, ""))
	c.expectClosed()
	plaintext := s.dial("SSL")
	plaintext.send(heartbeat(0), 1)
	io.Copy(io.Discard, plaintext) // an alert at most
}
