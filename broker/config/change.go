package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// threadKeys are pools that grow and shrink by no more than a factor of two at a time (DynamicThreadPool).
var threadKeys = []string{"num.io.threads", "num.replica.fetchers", "num.recovery.threads.per.data.dir", "background.threads"}

// checkChange judges the step from one configuration to another, which both are valid in themselves.
func checkChange(old, new *Config, changed map[string]bool) error {
	for _, key := range threadKeys {
		if err := checkResize(key, old.values[key], new.values[key]); err != nil {
			return err
		}
	}
	if err := checkCleanerThreads(old.Cleaner.Threads, new.Cleaner.Threads); err != nil {
		return err
	}
	for _, l := range new.Listeners {
		was, existed := old.Endpoint(l.Name)
		now := new.Listener(l.Name)
		if existed {
			if err := checkResize("num.network.threads", old.Listener(l.Name).NumNetworkThreads, now.NumNetworkThreads); err != nil {
				return err
			}
			if was.Protocol != l.Protocol {
				return fmt.Errorf("Security protocol cannot be updated for existing listener %s", l.Name)
			}
			// Kafka looks only when listeners change as well: what is set for an existing listener alone is stored
			// and waits for a restart.
			if listenersDiffer(old, new) && !maps.Equal(fixedOf(old, l.Name), fixedOf(new, l.Name)) {
				return fmt.Errorf("Configs cannot be updated dynamically for existing listener %s, restart broker or create a new listener for update", l.Name)
			}
		}
		if changed["max.connections"] && now.MaxConnections <= 0 {
			return fmt.Errorf("Invalid max.connections %d", now.MaxConnections)
		}
		if changed["max.connection.creation.rate"] && now.MaxConnectionCreationRate <= 0 {
			return fmt.Errorf("Invalid max.connection.creation.rate %d", now.MaxConnectionCreationRate)
		}
	}
	return nil
}

func checkResize(key string, old, new any) error {
	from, _ := old.(int32)
	to, _ := new.(int32)
	if from == to {
		return nil
	}
	reason := ""
	switch {
	case to <= 0:
		reason = "value should be at least 1"
	case to < from/2:
		reason = fmt.Sprintf("value should be at least half the current value %d", from)
	case int64(to) > int64(from)*2:
		reason = fmt.Sprintf("value should not be greater than double the current value %d", from)
	default:
		return nil
	}
	return fmt.Errorf("Dynamic thread count update validation failed for %s=%d, %s", key, to, reason)
}

func checkCleanerThreads(from, to int32) error {
	switch {
	case from == to:
	case to < from/2:
		return fmt.Errorf("Log cleaner threads cannot be reduced to less than half the current value %d", from)
	case int64(to) > int64(from)*2:
		return fmt.Errorf("Log cleaner threads cannot be increased to more than double the current value %d", from)
	}
	return nil
}

func listenersDiffer(old, new *Config) bool {
	return !slices.Equal(old.Listeners, new.Listeners) || !slices.Equal(old.Advertised, new.Advertised)
}

// fixedOf returns what is set for one listener and cannot change while it exists.
func fixedOf(c *Config, listener string) map[string]string {
	fixed := map[string]string{}
	prefix := listenerPrefix + strings.ToLower(listener) + "."
	for name, value := range c.props {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || slices.Contains(clusterListenerKeys, rest) || withoutListener(rest) {
			continue
		}
		fixed[rest] = value
	}
	return fixed
}
