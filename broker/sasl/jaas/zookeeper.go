package jaas

import (
	"errors"
	"fmt"
	"strings"
)

// Java system properties of ZooKeeper's client.
const (
	zooKeeperEnable  = "zookeeper.sasl.client"
	zooKeeperSection = "zookeeper.sasl.clientconfig"
)

// Digest is a user and password for DIGEST-MD5.
type Digest struct {
	Username string
	Password string
}

// ZooKeeperLogin says how a client logs in to ZooKeeper: as the text says, which is one module, or if it is empty as the
// section Client of the login configuration says. Without either there is no login, and the result is nil. As with Kafka
// (JaasUtils.isZkSaslEnabled) a section that is there but switched off is an error.
func ZooKeeperLogin(text string, system map[string]string) (*Digest, error) {
	if text != "" {
		modules, err := ParseModules(text)
		if err != nil {
			return nil, err
		}
		return digest(modules)
	}
	f, err := Open(system)
	if err != nil {
		return nil, err
	}
	section := system[zooKeeperSection]
	if section == "" {
		section = "Client"
	}
	modules := f.Section(section)
	if modules == nil {
		return nil, nil
	}
	if enabled, set := system[zooKeeperEnable]; set && !strings.EqualFold(enabled, "true") {
		return nil, fmt.Errorf("%s has a section %s, but %s=%s", f.Name(), section, zooKeeperEnable, enabled)
	}
	d, err := digest(modules)
	if err != nil {
		return nil, fmt.Errorf("%s: section %s: %w", f.Name(), section, err)
	}
	return d, nil
}

func digest(modules []Module) (*Digest, error) {
	if len(modules) > 1 {
		return nil, errors.New("one login module is enough for ZooKeeper")
	}
	m := modules[0]
	switch m.Class {
	case ZooKeeper:
	case Kerberos:
		return nil, errors.New("kraal does not log in to ZooKeeper with Kerberos, only with " + ZooKeeper)
	default:
		return nil, fmt.Errorf("kraal logs in to ZooKeeper with %s only, not with %s", ZooKeeper, m.Class)
	}
	d := &Digest{m.Options["username"], m.Options["password"]}
	if d.Username == "" || d.Password == "" {
		return nil, fmt.Errorf("%s needs username and password", m.Class)
	}
	return d, nil
}
