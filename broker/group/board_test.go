package group

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore"
)

// fakeRegistry is the znodes of all sessions in a map, as one session sees them.
type fakeRegistry struct {
	mu      *sync.Mutex // guards all below, shared by sessions
	session string
	nodes   map[string]string // path to session and data
	removed []string
	breaks  int // so many calls break off after the first write
	err     error
	calls   int
}

var errBroken = errors.New("connection lost")

func (r *fakeRegistry) WriteConsumers(_ context.Context, writes []zkstore.ConsumerWrite) (map[zkstore.ConsumerNode]error, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	broken := map[zkstore.ConsumerNode]error{}
	for _, w := range writes {
		if r.err != nil {
			return nil, r.err
		}
		path := w.Node.Path()
		owner, _, there := strings.Cut(r.nodes[path], " ")
		switch {
		case w.Data == nil:
			if there && owner != r.session {
				return nil, fmt.Errorf("%s removes %s of %s", r.session, path, owner)
			}
			delete(r.nodes, path)
		case there && owner != r.session:
			broken[w.Node] = zkstore.ErrNodeExists
		case w.Exists && !there:
			return nil, fmt.Errorf("%s does not exist", path)
		default:
			r.nodes[path] = r.session + " " + string(w.Data)
		}
		if r.breaks > 0 {
			r.breaks--
			return broken, errBroken
		}
	}
	return broken, nil
}

func (r *fakeRegistry) RemoveConsumers(_ context.Context, group string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed = append(r.removed, group)
	return nil
}

// seen is what can be seen of a group's members and owners, short.
func (r *fakeRegistry) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, path := range slices.Sorted(maps.Keys(r.nodes)) {
		owner, data, _ := strings.Cut(r.nodes[path], " ")
		if strings.HasPrefix(data, "{") {
			data = "{}"
		}
		out = append(out, fmt.Sprintf("%s:%s=%s", owner, strings.TrimPrefix(path, "/consumers/"), data))
	}
	return out
}

func member(id string, partitions ...int32) Shown {
	var owned []string
	for _, p := range partitions {
		owned = append(owned, fmt.Sprintf("t-%d", p))
	}
	m := Shown{ID: id, Since: time.UnixMilli(1), Subscription: subscribe([]string{"t"})}
	if owned != nil {
		m.Assignment = assignTo(strings.Join(owned, "+"))
	}
	return m
}

// showcase runs a showcase in a bubble, and ends it.
func showcase(t *testing.T, registry func() Registry, test func(c *Showcase)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := NewShowcase(registry, zap.NewNop())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		test(c)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func expect(t *testing.T, r *fakeRegistry, want ...string) {
	t.Helper()
	if got := r.seen(); !slices.Equal(got, want) {
		t.Errorf("seen are %q, should be %q", got, want)
	}
}

// Changes are gathered, and only what differs is written.
func TestShowcase(t *testing.T) {
	r := &fakeRegistry{mu: new(sync.Mutex), session: "s1", nodes: map[string]string{}}
	showcase(t, func() Registry { return r }, func(c *Showcase) {
		c.Show("g", []Shown{member("a", 0, 1)})
		c.Show("h", []Shown{member("x", 0)})
		c.Show("g", []Shown{member("a", 0), member("b", 1)})
		time.Sleep(2 * gatherTime)
		expect(t, r, "s1:g/ids/a={}", "s1:g/ids/b={}", "s1:g/owners/t/0=a-0", "s1:g/owners/t/1=b-0", "s1:h/ids/x={}", "s1:h/owners/t/0=x-0")
		if r.calls != 1 {
			t.Errorf("%d calls", r.calls)
		}
		c.Show("g", []Shown{member("b", 0, 1)})
		c.Clear("h")
		time.Sleep(2 * gatherTime)
		expect(t, r, "s1:g/ids/b={}", "s1:g/owners/t/0=b-0", "s1:g/owners/t/1=b-0")
		c.Forget("g")
		time.Sleep(2 * gatherTime)
		expect(t, r)
		if !slices.Equal(r.removed, []string{"g"}) {
			t.Errorf("removed %v", r.removed)
		}
		// Back before the end was written.
		c.Forget("h")
		c.Show("h", []Shown{member("y")})
		time.Sleep(2 * gatherTime)
		expect(t, r, "s1:h/ids/y={}")
		if !slices.Equal(r.removed, []string{"g"}) {
			t.Errorf("removed %v", r.removed)
		}
	})
}

// After a new session everything is shown again; the znodes of the last one are gone with it.
func TestShowcaseNewSession(t *testing.T) {
	nodes := map[string]string{}
	var mu sync.Mutex
	first, second := &fakeRegistry{mu: &mu, session: "s1", nodes: nodes}, &fakeRegistry{mu: &mu, session: "s2", nodes: nodes}
	var now atomic.Pointer[fakeRegistry]
	now.Store(first)
	showcase(t, func() Registry { return now.Load() }, func(c *Showcase) {
		c.Show("g", []Shown{member("a", 0)})
		time.Sleep(2 * gatherTime)
		mu.Lock()
		first.err = zkstore.ErrExpired
		mu.Unlock()
		c.Show("h", []Shown{member("x")})
		time.Sleep(5 * time.Second)
		expect(t, first, "s1:g/ids/a={}", "s1:g/owners/t/0=a-0")
		mu.Lock()
		clear(nodes)
		mu.Unlock()
		now.Store(second)
		time.Sleep(longestPause)
		expect(t, second, "s2:g/ids/a={}", "s2:g/owners/t/0=a-0", "s2:h/ids/x={}")
	})
}

// A coordinator that takes over waits for the other's znodes to go, and touches none of them.
func TestShowcaseMovedGroup(t *testing.T) {
	nodes := map[string]string{"/consumers/g/ids/a": "s1 {}", "/consumers/g/owners/t/0": "s1 a-0"}
	r := &fakeRegistry{mu: new(sync.Mutex), session: "s2", nodes: nodes}
	showcase(t, func() Registry { return r }, func(c *Showcase) {
		c.Show("g", []Shown{member("a", 0, 1)})
		time.Sleep(10 * time.Second)
		expect(t, r, "s1:g/ids/a={}", "s1:g/owners/t/0=a-0", "s2:g/owners/t/1=a-0")
		r.mu.Lock()
		delete(nodes, "/consumers/g/ids/a")
		r.mu.Unlock()
		time.Sleep(longestPause + lookAround)
		expect(t, r, "s2:g/ids/a={}", "s1:g/owners/t/0=a-0", "s2:g/owners/t/1=a-0")
		c.Clear("g") // what was never ours is not removed
		time.Sleep(2 * gatherTime)
		expect(t, r, "s1:g/owners/t/0=a-0")
	})
}

// A writing that broke off is repaired, whatever of it was done.
func TestShowcaseBrokenOff(t *testing.T) {
	for breaks := range 5 {
		r := &fakeRegistry{mu: new(sync.Mutex), session: "s1", nodes: map[string]string{}, breaks: breaks}
		showcase(t, func() Registry { return r }, func(c *Showcase) {
			c.Show("g", []Shown{member("a", 0, 1, 2)})
			time.Sleep(firstPause / 2)
			c.Show("g", []Shown{member("b", 0, 1)})
			time.Sleep(5 * longestPause)
			expect(t, r, "s1:g/ids/b={}", "s1:g/owners/t/0=b-0", "s1:g/owners/t/1=b-0")
		})
	}
}
