package zktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Ensemble is a group of servers with one tree.
type Ensemble struct {
	Servers []*Server
}

// StartEnsemble runs an ensemble of size servers, usually three, and returns when all of them serve.
func StartEnsemble(t testing.TB, size int, opts ...Option) *Ensemble {
	t.Helper()
	require(t)
	e := &Ensemble{}
	var peers []string
	for id := range size {
		s := newServer(t, opts)
		e.Servers = append(e.Servers, s)
		peers = append(peers, fmt.Sprintf("server.%d=%s:%s", id+1, freeAddr(t), port(freeAddr(t))))
		data := filepath.Join(s.dir, "data")
		if err := os.MkdirAll(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Append(nil, id+1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range e.Servers {
		s.peers = peers
	}
	e.Start()
	return e
}

// Start runs all servers that do not run, and returns when all serve.
func (e *Ensemble) Start() {
	e.Servers[0].t.Helper()
	for _, s := range e.Servers {
		if s.cmd == nil {
			s.launch()
		}
	}
	for _, s := range e.Servers {
		s.await()
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// Connect is the connect string that names all servers.
func (e *Ensemble) Connect() string {
	addrs := make([]string, len(e.Servers))
	for i, s := range e.Servers {
		addrs[i] = s.Addr()
	}
	return strings.Join(addrs, ",")
}

// Leader returns the server that leads the others, having waited for one to be elected.
func (e *Ensemble) Leader() *Server {
	t := e.Servers[0].t
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pollPause) {
		for _, s := range e.Servers {
			if s.cmd == nil || s.paused {
				continue
			}
			if answer, err := s.command("srvr"); err == nil && strings.Contains(answer, "Mode: leader") {
				return s
			}
		}
	}
	t.Fatal("no leader")
	return nil
}
