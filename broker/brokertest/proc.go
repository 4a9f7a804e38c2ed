//go:build unix

package brokertest

import (
	"bufio"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// build makes the program once for all tests of a process. With KRAAL_RACE set it has the race detector in it, and ends when that
// finds something.
var build = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "kraal-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "kraal")
	args, cgo := []string{"build", "-o", bin}, "CGO_ENABLED=0"
	if os.Getenv("KRAAL_RACE") != "" {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "./tools/kraal")...)
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

// Binary returns the path of the program under test.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatalf("build kraal: %v", err)
	}
	return bin
}

// Proc is a broker in a process of its own, which can be killed, paused and started again on its directories.
type Proc struct {
	t     testing.TB
	dir   string
	props map[string]string
	port  int
	cmd   *exec.Cmd
	// exited is closed when the process has ended and all it wrote was read.
	exited chan struct{}
}

// StartProc runs `kraal server` with the given properties over sensible ones for a test, and ends it with the test.
func StartProc(t testing.TB, zookeeper string, props map[string]string) *Proc {
	t.Helper()
	p := newProc(t, zookeeper, props)
	p.Start()
	return p
}

func newProc(t testing.TB, zookeeper string, props map[string]string) *Proc {
	p := &Proc{t: t, dir: t.TempDir(), port: FreePort(t)}
	p.props = map[string]string{
		"broker.id": "1", "zookeeper.connect": zookeeper, "zookeeper.session.timeout.ms": "6000",
		"listeners": fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", p.port), "log.dirs": filepath.Join(p.dir, "data"),
		"offsets.topic.replication.factor": "1", "kraal.log.level": level(),
	}
	maps.Copy(p.props, props)
	t.Cleanup(p.Kill)
	return p
}

// Start runs the broker and returns when it answers requests.
func (p *Proc) Start() {
	p.t.Helper()
	p.launch()
	if !p.awaitServing() {
		p.t.Fatal("the broker ended instead of serving")
	}
}

// awaitServing waits until the broker answers requests, and returns false if it ends instead.
func (p *Proc) awaitServing() bool {
	p.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for p.Alive() {
		if p.answers() {
			return true
		}
		if time.Now().After(deadline) {
			p.t.Fatal("the broker did not serve in time")
		}
		time.Sleep(5 * time.Millisecond) // polling another process
	}
	return false
}

// answers reports whether the broker answers an ApiVersions request.
func (p *Proc) answers() bool {
	c, err := net.DialTimeout("tcp", p.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write(wire.AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1, "brokertest")); err != nil {
		return false
	}
	frame, err := wire.ReadFrame(c, 1<<20)
	if err == nil {
		frame.Free()
	}
	return err == nil
}

// launch runs the process without waiting for it to serve.
func (p *Proc) launch() {
	p.t.Helper()
	file := filepath.Join(p.dir, "server.properties")
	if err := os.WriteFile(file, properties(p.props), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = exec.Command(Binary(p.t), "server", file)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	p.cmd.SysProcAttr = dieWithUs()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	log, id, cmd, exited := logWriter(p.t), p.props["broker.id"], p.cmd, make(chan struct{})
	p.exited = exited
	go func() { // ends with the process, whose output this is
		defer close(exited)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintf(log, "broker %s: %s\n", id, lines.Text())
		}
		_ = cmd.Wait() // how it ended is not asked
	}()
}

// Kill ends the process with SIGKILL, if it runs, and reaps it.
func (p *Proc) Kill() { p.end(syscall.SIGKILL) }

// Terminate asks the process to end, with SIGTERM, and does not wait for it. A second time it ends at once.
func (p *Proc) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the process to end.
func (p *Proc) Wait() { <-p.exited }

// Stop ends the process with SIGTERM and waits for it.
func (p *Proc) Stop() { p.end(syscall.SIGTERM) }

func (p *Proc) end(s syscall.Signal) {
	if p.exited == nil {
		return
	}
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
	p.Resume()                  // a paused process hears SIGTERM only then
	<-p.exited
}

// Pause stops the process where it is, and returns when it does nothing any more: the signal is under way when kill returns, and on
// a busy machine a thread may still answer.
func (p *Proc) Pause() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(startTimeout); p.Alive() && !zktest.Stopped(p.cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("the broker does not stop")
		}
	}
}

// Resume lets a paused process go on.
func (p *Proc) Resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// Alive reports whether the process runs, or is paused.
func (p *Proc) Alive() bool {
	if p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Addr is where clients connect.
func (p *Proc) Addr() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

// PID is the process id of the present process.
func (p *Proc) PID() int { return p.cmd.Process.Pid }

// Dir is the log directory.
func (p *Proc) Dir() string { return p.props["log.dirs"] }

// Set changes a property for the next Start.
func (p *Proc) Set(key, value string) { p.props[key] = value }

func properties(props map[string]string) []byte {
	lines := make([]string, 0, len(props))
	for k, v := range props {
		lines = append(lines, k+"="+v+"\n")
	}
	sort.Strings(lines)
	return []byte(strings.Join(lines, ""))
}

// FreePort returns a loopback port nobody listens on at the moment. It is below those that the kernel gives to outgoing
// connections: one of these could take it while its broker is down.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
