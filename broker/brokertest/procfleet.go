//go:build unix

package brokertest

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// ProcFleet is several brokers, each in a process of its own, with the ids 1, 2 and so on. They speak with each other and with
// ZooKeeper through proxies, so that each can be cut off from either; clients connect to them directly.
type ProcFleet struct {
	Procs []*Proc
	// between[i] is in front of broker i+1's inter-broker listener, to[i] in front of each ZooKeeper server, for broker i+1 alone.
	between []*testkit.Proxy
	to      [][]*testkit.Proxy
}

// StartProcFleet runs size brokers with the given properties over sensible ones for a test, and ends them with it. {id} in
// a value is the broker's id, and an empty value leaves a property out.
func StartProcFleet(t testing.TB, zookeeper string, size int, props map[string]string) *ProcFleet {
	t.Helper()
	servers, chroot, _ := strings.Cut(zookeeper, "/")
	f := &ProcFleet{}
	for id := 1; id <= size; id++ {
		var toServers []*testkit.Proxy
		var connect []string
		for server := range strings.SplitSeq(servers, ",") {
			p := testkit.StartProxy(t, server, nil)
			toServers, connect = append(toServers, p), append(connect, p.Addr())
		}
		inter := FreePort(t)
		between := testkit.StartProxy(t, fmt.Sprintf("127.0.0.1:%d", inter), brokerOf)
		p := newProc(t, strings.Join(connect, ",")+strings.TrimSuffix("/"+chroot, "/"), fleetDefaults(id, props))
		maps.Copy(p.props, map[string]string{
			"listeners":                      fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,INTER://127.0.0.1:%d", p.port, inter),
			"advertised.listeners":           fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,INTER://%s", p.port, between.Addr()),
			"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTER:PLAINTEXT",
			"inter.broker.listener.name":     "INTER",
		})
		for key, value := range forBroker(id, props) {
			if value != "" {
				p.props[key] = value
			}
		}
		f.Procs, f.between, f.to = append(f.Procs, p), append(f.between, between), append(f.to, toServers)
	}
	f.Start()
	return f
}

// Start runs all brokers that do not run, and returns when all serve.
func (f *ProcFleet) Start() {
	for _, p := range f.Procs {
		if !p.Alive() {
			p.launch()
		}
	}
	for _, p := range f.Procs {
		if !p.awaitServing() {
			p.t.Fatal("a broker ended instead of serving")
		}
	}
}

// Proc returns the broker of an id.
func (f *ProcFleet) Proc(id int) *Proc { return f.Procs[id-1] }

// Addrs are where clients connect.
func (f *ProcFleet) Addrs() []string {
	var addrs []string
	for _, p := range f.Procs {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// CutFromBrokers parts a broker from the others, in both directions, until [ProcFleet.Heal]: nothing gets through, and
// connections stay.
func (f *ProcFleet) CutFromBrokers(id int) {
	for i, p := range f.between {
		if i == id-1 {
			for other := range f.Procs {
				if other != i {
					p.Stall(sourceName(other + 1))
				}
			}
			continue
		}
		p.Stall(sourceName(id))
	}
}

// CutFromZooKeeper parts a broker from ZooKeeper until [ProcFleet.Heal]: nothing gets through, and connections stay.
func (f *ProcFleet) CutFromZooKeeper(id int) {
	for _, p := range f.to[id-1] {
		p.Stall()
	}
}

// Heal ends all cuts.
func (f *ProcFleet) Heal() {
	for _, p := range f.between {
		p.Heal()
	}
	for _, to := range f.to {
		for _, p := range to {
			p.Heal()
		}
	}
}
