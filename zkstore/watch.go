package zkstore

import (
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/go-zookeeper/zk"
)

// Watch tells that something should be read again. ZooKeeper's watches are one-shot and are set by reads: while a
// Watch is open, the Store method named in its comment sets them as a side effect, so the loop is
//
//	w := z.WatchBrokers()
//	defer w.Stop()
//	for {
//		read with z.Brokers(ctx)
//		<-w.C
//	}
//
// Changes between two reads fold into one signal. Watches survive reconnects. When the session ends, a last signal is
// given so that the reader finds out.
type Watch struct {
	// C carries "look again". Sent to by the session, received by the owner, never closed; capacity 1 because
	// one pending wake-up covers all that happened before it is taken.
	C <-chan struct{}

	c   chan struct{}
	reg *registry
	key watchKey
	// below: key.path is the parent of the znodes watched, and changed gathers their names.
	below   bool
	changed map[string]struct{} // guarded by registry.mu
}

// Take returns the names (topics, broker ids) that changed since the last Take, sorted. It is for watches over many
// znodes, such as [Store.WatchTopicNodes]; on others it returns nothing.
func (w *Watch) Take() []string {
	w.reg.mu.Lock()
	defer w.reg.mu.Unlock()
	names := slices.Sorted(maps.Keys(w.changed))
	clear(w.changed)
	return names
}

// Stop ends the subscription.
func (w *Watch) Stop() {
	w.reg.mu.Lock()
	defer w.reg.mu.Unlock()
	subs := w.reg.mu.exact
	if w.below {
		subs = w.reg.mu.below
	}
	subs[w.key] = slices.DeleteFunc(subs[w.key], func(o *Watch) bool { return o == w })
	if len(subs[w.key]) == 0 {
		delete(subs, w.key)
	}
}

func (w *Watch) signalLocked() { // registry.mu
	select {
	case w.c <- struct{}{}:
	default:
	}
}

type watchKind int8

const (
	dataWatch  watchKind = iota // a znode's data, appearance, end
	childWatch                  // the set of its children
)

type watchKey struct {
	path string // below the chroot
	kind watchKind
}

// registry knows who waits for news of what, and which watches are set at the server. It hears every event through the
// library's callback, so a thousand watches cost no goroutine. A watch once set stays set until it fires, whoever
// asked for it, because the library cannot take one back; so it is not set twice.
type registry struct {
	mu struct {
		sync.Mutex
		exact map[watchKey][]*Watch
		below map[watchKey][]*Watch // by the parent of what is watched
		armed map[watchKey]*arming  // set, or being set, at the server
	}
}

func (r *registry) init() {
	r.mu.exact = map[watchKey][]*Watch{}
	r.mu.below = map[watchKey][]*Watch{}
	r.mu.armed = map[watchKey]*arming{}
}

func (r *registry) subscribe(key watchKey, below bool) *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, reg: r, key: key, below: below}
	r.mu.Lock()
	defer r.mu.Unlock()
	if below {
		w.changed = map[string]struct{}{}
		r.mu.below[key] = append(r.mu.below[key], w)
	} else {
		r.mu.exact[key] = append(r.mu.exact[key], w)
	}
	return w
}

type want int8

const (
	wantNot     want = iota
	wantPresent      // while the znode exists
	wantAlways       // its appearance as well
)

func (r *registry) wanted(key watchKey) want {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wantedLocked(key)
}

func (r *registry) wantedLocked(key watchKey) want {
	if len(r.mu.exact[key]) > 0 {
		return wantAlways
	}
	if key.kind == dataWatch && len(r.mu.below) > 0 && len(r.mu.below[watchKey{path.Dir(key.path), dataWatch}]) > 0 {
		return wantPresent
	}
	return wantNot
}

// arming is one attempt to set a watch. Only a confirmed one spares other readers theirs: a request is answered in the
// order sent, and a plain read may have been sent before the one that sets the watch. And an event may arrive after
// the server's answer but before done is called; it takes the arming out of armed, and done must not put it back.
type arming struct {
	r   *registry
	key watchKey
	set bool // guarded by registry.mu
}

// arm tells whether a read of key has to set a watch; nil: it has not. The reader calls done.
func (r *registry) arm(key watchKey, least want) *arming {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wantedLocked(key) < least {
		return nil
	}
	if a := r.mu.armed[key]; a != nil && a.set {
		return nil
	}
	a := &arming{r: r, key: key}
	r.mu.armed[key] = a
	return a
}

func (a *arming) done(set bool) {
	if a == nil {
		return
	}
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	if a.r.mu.armed[a.key] != a {
		return
	}
	a.set = set
	if !set {
		delete(a.r.mu.armed, a.key)
	}
}

// fire takes one event of the server.
func (r *registry) fire(e zk.EventType, at string) {
	switch e {
	case zk.EventNodeCreated, zk.EventNodeDataChanged:
		r.signal(watchKey{at, dataWatch})
	case zk.EventNodeChildrenChanged:
		r.signal(watchKey{at, childWatch})
	case zk.EventNodeDeleted:
		r.signal(watchKey{at, dataWatch})
		r.signal(watchKey{at, childWatch})
	}
}

func (r *registry) signal(key watchKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.armed, key)
	for _, w := range r.mu.exact[key] {
		w.signalLocked()
	}
	if key.kind != dataWatch {
		return
	}
	for _, w := range r.mu.below[watchKey{path.Dir(key.path), dataWatch}] {
		w.changed[path.Base(key.path)] = struct{}{}
		w.signalLocked()
	}
}

// fireAll wakes everybody: the session has ended.
func (r *registry) fireAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subs := range []map[watchKey][]*Watch{r.mu.exact, r.mu.below} {
		for _, ws := range subs {
			for _, w := range ws {
				w.signalLocked()
			}
		}
	}
}
