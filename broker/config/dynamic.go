package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
)

// Level is one of the two places in ZooKeeper where broker configs are stored.
type Level int8

const (
	ClusterDefault Level = iota // /config/brokers/<default>
	PerBroker                   // /config/brokers/<id>
)

// String names the level in log lines.
func (l Level) String() string {
	if l == ClusterDefault {
		return "cluster default"
	}
	return "broker"
}

// Dynamic is the configuration of a running broker: the file overlaid with what ZooKeeper says (KIP-226).
// Methods may be called from any goroutine.
type Dynamic struct {
	static *Static
	logger *zap.Logger

	current atomic.Pointer[snapshot]

	mu struct {
		sync.Mutex // held while current is replaced and while subscribers are called
		subs       []*Subscription
	}
}

// snapshot is the configuration at one moment and where it comes from. It never changes.
type snapshot struct {
	config *Config
	levels [2]map[string]string // by Level, passwords in clear, nothing in it that may not be there
}

// NewDynamic starts from the file alone.
func NewDynamic(s *Static, logger *zap.Logger) *Dynamic {
	d := &Dynamic{static: s, logger: logger}
	d.current.Store(&snapshot{config: s.Config})
	return d
}

// Current returns the effective configuration. It never changes; ask again for a newer one.
func (d *Dynamic) Current() *Config { return d.current.Load().config }

// Static returns what the broker was started with.
func (d *Dynamic) Static() *Static { return d.static }

// Apply replaces one level with the content of its znode (nil: no znode) and tells the subscribers concerned, before it
// returns. It is forgiving, as the znode may have been written by anybody: entries that cannot be used are logged and
// skipped. A combination that is refused as a whole, by a rule about several keys or by a subscriber, is an error and
// leaves everything as it was.
//
// The limits of Validate on a change, such as half and double of a pool, are not applied: what is stored has passed
// them when it was stored, step by step, and a broker that was away then has to follow all the same.
func (d *Dynamic) Apply(level Level, stored map[string]string) error {
	props := d.FromStored(level, stored)

	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.current.Load()
	next := &snapshot{levels: old.levels}
	next.levels[level] = props
	c, err := d.merged(next.levels)
	if err != nil {
		return fmt.Errorf("apply %s configs: %w", level, err)
	}
	next.config = c
	changed := changedKeys(old.config, c)
	if len(changed) == 0 {
		next.config = old.config
		d.current.Store(next)
		return nil
	}
	concerned := d.concernedLocked(changed)
	for _, s := range concerned {
		if s.Validate == nil {
			continue
		}
		if err := s.Validate(old.config, c); err != nil {
			return fmt.Errorf("apply %s configs: %s: %w", level, s.Name, err)
		}
	}
	d.current.Store(next)
	d.logger.Info("configuration changed", zap.Stringer("level", level), zap.Strings("keys", slices.Sorted(maps.Keys(changed))))
	for _, s := range concerned {
		if s.Apply != nil {
			s.Apply(old.config, c)
		}
	}
	return nil
}

// merged builds the configuration of the file under the levels.
func (d *Dynamic) merged(levels [2]map[string]string) (*Config, error) {
	// The weaker names of a setting are read-only, so a level cannot bring one that a lower level's stronger name
	// would shadow: laying the maps over each other is enough.
	props := withoutDynamicKeys(d.static.file)
	maps.Copy(props, levels[ClusterDefault])
	maps.Copy(props, levels[PerBroker])
	c, problems := build(props)
	if len(problems) > 0 {
		return nil, problemsError(problems)
	}
	return c, nil
}

func problemsError(problems []Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = &ValueError{Key: p.Key, Value: p.Value, Reason: p.Reason}
	}
	return errors.Join(errs...)
}

// changedKeys are the names whose text differs, those of the keys they stand for, and all names of their settings.
func changedKeys(old, new *Config) map[string]bool {
	changed := map[string]bool{}
	note := func(name string) {
		changed[name] = true
		for _, s := range synonyms(name) {
			changed[s] = true
		}
	}
	for k, v := range new.props {
		if was, ok := old.props[k]; !ok || was != v {
			note(k)
		}
	}
	for k := range old.props {
		if _, ok := new.props[k]; !ok {
			note(k)
		}
	}
	return changed
}

// Subscription is a component's interest in some keys.
type Subscription struct {
	Name string // for log lines
	// Keys are the broker keys of interest; a key also stands for its listener.name. forms and for its synonyms.
	Keys []string
	// Validate may refuse a change before it is applied or stored. It may be nil, and must not keep what it is given.
	Validate func(old, new *Config) error
	// Apply is told of a change after Current shows it. It may be nil.
	Apply func(old, new *Config)
}

// Subscribe registers s and returns how to end it. Subscribers are called in the order they came, one at a time, and
// must not call Apply, Validate, the alter methods, Subscribe or cancel in turn.
func (d *Dynamic) Subscribe(s Subscription) (cancel func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &s
	d.mu.subs = append(d.mu.subs, p)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mu.subs = slices.DeleteFunc(d.mu.subs, func(q *Subscription) bool { return q == p })
	}
}

func (d *Dynamic) concernedLocked(changed map[string]bool) []*Subscription {
	var concerned []*Subscription
	for _, s := range d.mu.subs {
		if slices.ContainsFunc(s.Keys, func(k string) bool { return changed[k] }) {
			concerned = append(concerned, s)
		}
	}
	return concerned
}

// Validate judges a complete set of values (passwords in clear) before it is stored at level, strictly: the first
// complaint is returned, an [*Error] of kind [ErrInvalidRequest]. Subscribers are asked too.
func (d *Dynamic) Validate(level Level, props map[string]string) error {
	if err := CheckLevel(level, props); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.current.Load()
	levels := old.levels
	levels[level] = props
	c, err := d.merged(levels)
	if err != nil {
		return invalidRequest("%v", err)
	}
	changed := changedKeys(old.config, c)
	if err := checkChange(old.config, c, changed); err != nil {
		return invalidRequest("Invalid dynamic configuration: %v", err)
	}
	for _, s := range d.concernedLocked(changed) {
		if s.Validate == nil {
			continue
		}
		if err := s.Validate(old.config, c); err != nil {
			return invalidRequest("Invalid dynamic configuration: %v", err)
		}
	}
	return nil
}
