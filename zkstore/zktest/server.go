package zktest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	classpathVariable = "KRAAL_ZOOKEEPER_CLASSPATH"
	debianJar         = "/usr/share/java/zookeeper.jar" // its manifest names most of the rest
	debianMore        = "/usr/share/java/slf4j-simple.jar:/usr/share/java/netty-codec.jar"

	// patience is how long a server may take to serve, on a machine with other things to do.
	patience = 60 * time.Second
	// pollPause is between two looks at a starting server.
	pollPause = 20 * time.Millisecond
	tick      = 200 * time.Millisecond
)

// Server is one ZooKeeper server. Its methods are for the test's goroutine and fail the test when they cannot do
// what they say.
type Server struct {
	t    testing.TB
	dir  string
	addr string
	o    options
	// secureAddr is the port for TLS, if there is one.
	secureAddr string
	peers      []string // the ensemble's "server.N=..." lines; none when it stands alone
	cmd        *exec.Cmd
	exited     chan struct{} // closed by the goroutine that waits for cmd
	paused     bool
}

type options struct {
	config []string
	jvm    []string
	files  map[string]string
	secure bool
}

// Option changes how a server is run.
type Option func(*options)

// Config adds a line to zoo.cfg; DIR in it stands for the server's directory.
func Config(line string) Option { return func(o *options) { o.config = append(o.config, line) } }

// JVM adds a flag for java; DIR in it stands for the server's directory.
func JVM(flag string) Option { return func(o *options) { o.jvm = append(o.jvm, flag) } }

// File puts a file into the server's directory.
func File(name, content string) Option { return func(o *options) { o.files[name] = content } }

// Secure opens a second port, for TLS, which asks clients for a certificate. Both stores are PEM files in the server's
// directory, see [File].
func Secure(keystore, truststore string) Option {
	return func(o *options) {
		o.secure = true
		o.config = append(o.config,
			"serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
			"secureClientPortAddress=127.0.0.1",
			"ssl.keyStore.location=DIR/"+keystore, "ssl.keyStore.type=PEM",
			"ssl.trustStore.location=DIR/"+truststore, "ssl.trustStore.type=PEM",
			"ssl.clientAuth=need")
	}
}

// Start runs a server that stands alone and returns when it serves.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	require(t)
	s := newServer(t, opts)
	s.Start()
	return s
}

func newServer(t testing.TB, opts []Option) *Server {
	s := &Server{t: t, dir: t.TempDir(), addr: freeAddr(t), o: options{files: map[string]string{}}}
	for _, o := range opts {
		o(&s.o)
	}
	if s.o.secure {
		s.secureAddr = freeAddr(t)
		s.o.config = append(s.o.config, "secureClientPort="+port(s.secureAddr))
	}
	for name, content := range s.o.files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.kill)
	return s
}

// require skips the test, or fails it in CI, where no ZooKeeper can be run.
func require(t testing.TB) {
	t.Helper()
	missing := ""
	if _, err := exec.LookPath("java"); err != nil {
		missing = "no java on the PATH"
	} else if _, err := os.Stat(debianJar); err != nil && os.Getenv(classpathVariable) == "" {
		missing = "no " + debianJar + " (Debian package zookeeper), and " + classpathVariable + " is not set"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("ZooKeeper cannot be run: %s", missing)
	default:
		t.Skipf("SKIPPED, NOTHING TESTED: ZooKeeper cannot be run: %s", missing)
	}
}

// Addr is "host:port" for clients; it stays the same over Stop and Start.
func (s *Server) Addr() string { return s.addr }

// SecureAddr is "host:port" for clients with TLS; see [Secure].
func (s *Server) SecureAddr() string { return s.secureAddr }

// Dir is the server's directory.
func (s *Server) Dir() string { return s.dir }

// Start runs the server again after Stop or Kill, on the data it had, and returns when it serves.
func (s *Server) Start() {
	s.t.Helper()
	s.launch()
	s.await()
}

// launch starts the process without waiting for it to serve.
func (s *Server) launch() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("ZooKeeper is running already")
	}
	config := filepath.Join(s.dir, "zoo.cfg")
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	classpath := os.Getenv(classpathVariable)
	if classpath == "" {
		classpath = debianJar + ":" + debianMore
	}
	args := []string{
		"-cp", classpath,
		"-Xmx128m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Djava.net.preferIPv4Stack=true",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dzookeeper.admin.enableServer=false",
		"-Dzookeeper.4lw.commands.whitelist=ruok,srvr,mntr",
		"-Dzookeeper.forceSync=no", // the process is killed in tests, never the machine
		"-Dzookeeper.preAllocSize=64",
		"-Dzookeeper.snapshot.trust.empty=true",
	}
	for _, flag := range s.o.jvm {
		args = append(args, strings.ReplaceAll(flag, "DIR", s.dir))
	}
	args = append(args, "org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	out, err := os.OpenFile(filepath.Join(s.dir, "out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd = exec.Command("java", args...)
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = dieWithUs()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start ZooKeeper: %v", err)
	}
	cmd, exited := s.cmd, make(chan struct{})
	s.exited = exited
	go func() { // ends with the process, which kill sees to
		cmd.Wait()
		close(exited)
	}()
}

func (s *Server) config() string {
	lines := []string{
		"dataDir=" + filepath.Join(s.dir, "data"),
		"clientPortAddress=127.0.0.1",
		"clientPort=" + port(s.addr),
		fmt.Sprintf("tickTime=%d", tick.Milliseconds()),
		"initLimit=50",
		"syncLimit=25",
		"minSessionTimeout=400",
		"maxSessionTimeout=60000",
		"maxClientCnxns=0",
	}
	lines = append(lines, s.peers...)
	lines = append(lines, s.o.config...)
	return strings.ReplaceAll(strings.Join(lines, "\n"), "DIR", s.dir) + "\n"
}

// await returns when the server serves clients.
func (s *Server) await() {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for !s.serving() {
		select {
		case <-s.exited:
			s.t.Fatalf("ZooKeeper exited: %s", s.output())
		case <-time.After(pollPause):
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("ZooKeeper does not serve after %v: %s", patience, s.output())
		}
	}
}

// serving asks the server for its mode, which one without a quorum does not have.
func (s *Server) serving() bool {
	answer, err := s.command("srvr")
	return err == nil && strings.Contains(answer, "Mode:")
}

// command sends a four letter word.
func (s *Server) command(word string) (string, error) {
	c, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write([]byte(word)); err != nil {
		return "", err
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(c)
	return b.String(), err
}

// Stop ends the server in order.
func (s *Server) Stop() { s.t.Helper(); s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill() { s.t.Helper(); s.end(syscall.SIGKILL) }

func (s *Server) end(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	if s.paused {
		s.Resume()
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("end ZooKeeper: %v", err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatal("ZooKeeper does not exit")
	}
	s.cmd = nil
}

// kill is the cleanup; it reports nothing.
func (s *Server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.exited
		s.cmd = nil
	}
}

// Pause stops the process where it is: connections stay open and nobody answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	s.paused = true
	// The signal is under way when kill returns: on a busy machine a thread may still answer.
	for deadline := time.Now().Add(patience); !Stopped(s.cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("ZooKeeper does not stop")
		}
	}
}

// Stopped reports whether every thread of a process stands still after SIGSTOP, as far as the system tells.
func Stopped(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if _, state, ok := bytes.Cut(b, []byte(") ")); err == nil && ok && !bytes.HasPrefix(state, []byte("T")) {
			return false
		}
	}
	return true
}

// Resume lets a paused server go on.
func (s *Server) Resume() { s.t.Helper(); s.signal(syscall.SIGCONT); s.paused = false }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("ZooKeeper is not running")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal ZooKeeper: %v", err)
	}
}

// output is the end of what the server printed.
func (s *Server) output() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "out"))
	return string(b[max(0, len(b)-2000):])
}

// freeAddr finds a loopback port nobody listens on, below those the kernel gives to outgoing connections: one of
// those could take the port while the server is down.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(20000))
		if l, err := net.Listen("tcp4", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
