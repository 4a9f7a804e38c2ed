package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// CheckLevel makes the checks of what may be stored at level that need nothing but the set itself
// (DynamicBrokerConfig.validateConfigs).
func CheckLevel(level Level, props map[string]string) error {
	if names := matching(props, notDynamic); len(names) > 0 {
		return invalidRequest("Cannot update these configs dynamically: %s", scalaSet(names))
	}
	if names := matching(props, withoutListener); len(names) > 0 {
		return invalidRequest("These security configs can be dynamically updated only per-listener using the listener prefix: Hash%s", scalaSet(names))
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if k, ok := lookupBroker(name); ok {
			if _, err := k.parse(props[name]); err != nil {
				return invalidRequest("%v", err)
			}
		}
	}
	if level == ClusterDefault {
		if names := matching(props, perBrokerOnly); len(names) > 0 {
			return invalidRequest("Cannot update these configs at default cluster level, broker id must be specified: %s", scalaSet(names))
		}
	}
	return nil
}

// PasswordKeys names those of props whose values are stored encrypted, sorted.
func PasswordKeys(props map[string]string) []string { return matching(props, isDynamicPassword) }

func matching(props map[string]string, is func(name string) bool) []string {
	var names []string
	for name := range props {
		if is(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// scalaSet prints names as Kafka's messages do.
func scalaSet(names []string) string { return "Set(" + strings.Join(names, ", ") + ")" }

// notDynamic: a broker key that needs a restart. Listener forms and unknown names pass, for plug-ins may know them.
func notDynamic(name string) bool {
	k, ok := brokerTable().lookup(name)
	return ok && !k.dynamic()
}

// withoutListener: a key that is dynamic only with a listener prefix, without it.
func withoutListener(name string) bool {
	k, ok := brokerTable().lookup(name)
	return ok && k.Scope == PerListener
}

// clusterListenerKeys may have a listener prefix at the cluster default level too.
var clusterListenerKeys = []string{"max.connections", "max.connection.creation.rate", "num.network.threads"}

// perBrokerOnly: a key that makes no sense for all brokers at once.
func perBrokerOnly(name string) bool {
	if k, ok := brokerTable().lookup(name); ok {
		return k.Scope == PerBrokerOnly || k.Scope == PerListener
	}
	_, rest, ok := splitListenerKey(name)
	return ok && !slices.Contains(clusterListenerKeys, rest)
}

// FromStored decodes the content of a znode: entries that may not be there are dropped (and logged), passwords
// decrypted.
func (d *Dynamic) FromStored(level Level, stored map[string]string) map[string]string {
	props := make(map[string]string, len(stored))
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		value := stored[name]
		if reason := d.unusable(level, name, &value); reason != "" {
			d.logger.Warn("stored config ignored", zap.Stringer("level", level), zap.String("key", name), zap.String("reason", reason))
			continue
		}
		props[name] = value
	}
	return props
}

// unusable decodes one stored value in place, or says why it cannot be used.
func (d *Dynamic) unusable(level Level, name string, value *string) string {
	switch {
	case notDynamic(name):
		return "cannot be changed while the broker runs"
	case withoutListener(name):
		return "can be changed only with a listener prefix"
	case level == ClusterDefault && perBrokerOnly(name):
		return "can be set for single brokers only"
	}
	if isDynamicPassword(name) {
		clear, err := d.encoder().decode(*value)
		if err != nil {
			return err.Error()
		}
		*value = clear
	}
	if k, ok := lookupBroker(name); ok {
		if _, err := k.parse(*value); err != nil {
			return err.Error()
		}
	}
	return ""
}

// ToStored is what to write to the znode: passwords encrypted with password.encoder.secret. The error is an [*Error]
// of kind [ErrInvalidConfig].
func (d *Dynamic) ToStored(level Level, props map[string]string) (map[string]string, error) {
	stored := maps.Clone(props)
	for name, value := range props {
		if !isDynamicPassword(name) {
			continue
		}
		if level == ClusterDefault {
			return nil, invalidConfig("Password config can be defined only at broker level")
		}
		text, err := d.encoder().encode(value)
		if err != nil {
			return nil, invalidConfig("Invalid config value for resource ConfigResource(type=BROKER, name='%d'): %v", d.Current().Broker.ID, err)
		}
		stored[name] = text
	}
	return stored, nil
}

// Reencode encrypts anew, with password.encoder.secret, what password.encoder.old.secret had encrypted in this broker's
// znode. changed says whether the result has to be written back; a broker does this once at start. What the old secret
// does not open stays, for it may be encrypted with the new one already.
func (d *Dynamic) Reencode(stored map[string]string) (result map[string]string, changed bool, err error) {
	old := d.encoder()
	old.secret = d.static.Config.text("password.encoder.old.secret")
	if old.secret == "" {
		return stored, false, nil
	}
	result = maps.Clone(stored)
	for name, value := range stored {
		if !isDynamicPassword(name) {
			continue
		}
		clear, err := old.decode(value)
		if err != nil {
			continue
		}
		if result[name], err = d.encoder().encode(clear); err != nil {
			return stored, false, fmt.Errorf("encrypt %s anew: %w", name, err)
		}
		changed = true
	}
	return result, changed, nil
}

func (d *Dynamic) encoder() passwordEncoder {
	c := d.static.Config
	e := passwordEncoder{
		secret:     c.text("password.encoder.secret"),
		keyFactory: c.text("password.encoder.keyfactory.algorithm"),
		cipher:     c.text("password.encoder.cipher.algorithm"),
	}
	e.keyLength, _ = c.values["password.encoder.key.length"].(int32)
	e.iterations, _ = c.values["password.encoder.iterations"].(int32)
	return e
}
