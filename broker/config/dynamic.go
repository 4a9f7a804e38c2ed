package config

import "go.uber.org/zap"

// Level is one of the two places in ZooKeeper where broker configs are stored.
type Level int8

const (
	ClusterDefault Level = iota // /config/brokers/<default>
	PerBroker                   // /config/brokers/<id>
)

// Dynamic is the configuration of a running broker: the file overlaid with what ZooKeeper says (KIP-226).
// Methods may be called from any goroutine.
type Dynamic struct{ static *Static }

// NewDynamic starts from the file alone.
func NewDynamic(s *Static, logger *zap.Logger) *Dynamic { panic("declared") }

// Current returns the effective configuration. It never changes; ask again for a newer one.
func (d *Dynamic) Current() *Config { panic("declared") }

// Static returns what the broker was started with.
func (d *Dynamic) Static() *Static { return d.static }

// Apply replaces one level with the content of its znode (nil: no znode) and tells the subscribers concerned, before it returns.
// It is forgiving, as the znode may have been written by anybody: entries that cannot be used are logged and skipped.
// A combination that is refused as a whole, by a cross-field rule or by a subscriber, leaves everything as it was.
func (d *Dynamic) Apply(level Level, stored map[string]string) error { panic("declared") }

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

// Subscribe registers s and returns how to end it. Subscribers are called in the order they came, one at a time.
func (d *Dynamic) Subscribe(s Subscription) (cancel func()) { panic("declared") }

// Validate judges a complete set of values (passwords in clear) before it is stored at level, strictly: the first
// complaint is returned, an [*Error] of kind [ErrInvalidRequest] with Kafka's text. Subscribers are asked too.
func (d *Dynamic) Validate(level Level, props map[string]string) error { panic("declared") }

// FromStored decodes the content of a znode: entries that may not be there are dropped (and logged), passwords decrypted.
func (d *Dynamic) FromStored(level Level, stored map[string]string) map[string]string {
	panic("declared")
}

// ToStored is what to write to the znode: passwords encrypted with password.encoder.secret.
func (d *Dynamic) ToStored(level Level, props map[string]string) (map[string]string, error) {
	panic("declared")
}

// Reencode encrypts anew, with password.encoder.secret, what password.encoder.old.secret had encrypted in this broker's
// znode. changed says whether the result has to be written back; a broker does this once at start.
func (d *Dynamic) Reencode(stored map[string]string) (result map[string]string, changed bool, err error) {
	panic("declared")
}
