package configs

import "strings"

func (t *tool) alter(e entity) error {
	ch, err := newChanges(t.Context)
	if err != nil {
		return err
	}
	if version, ok := ch.add["message.format.version"]; ok {
		t.print("WARNING: The configuration message.format.version=%s is specified. This configuration will be ignored if the version "+
			"is newer than the inter.broker.protocol.version specified in the broker or if the inter.broker.protocol.version is 3.0 or newer. "+
			"This configuration is deprecated and it will be removed in Apache Kafka 4.0.\n", version)
	}
	switch e.types[0] {
	case users, clients:
		err = t.alterClients(e, ch)
	case ips:
		err = t.alterAddresses(e, ch)
	default:
		err = t.alterResource(e, ch)
	}
	if err != nil {
		return err
	}
	if name := e.names[0]; name != "" {
		t.print("Completed updating config for %s %s.\n", singular(e.types[0]), name)
	} else {
		t.print("Completed updating default config for %s in the cluster.\n", e.types[0])
	}
	return nil
}

// alterClients alters quotas of users and clients, or a user's credentials; not both at once.
func (t *tool) alterClients(e entity, ch changes) error {
	unknown := func(key string) bool { return !isScram(key) && !isClientQuota(key) }
	if e.types[0] == clients || len(e.types) == 2 {
		notQuota := func(key string) bool { return !isClientQuota(key) }
		if wrong := filter(ch.added(), notQuota); len(wrong) > 0 {
			return illegal("Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: %s", setOf(wrong))
		}
		if wrong := filter(ch.remove, notQuota); len(wrong) > 0 {
			return illegal("Only quota configs can be deleted for 'clients' using --bootstrap-server. Unexpected config names: %s", listOf(wrong))
		}
	} else {
		if wrong := filter(ch.added(), unknown); len(wrong) > 0 {
			return illegal("Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: %s", setOf(wrong))
		}
		if wrong := filter(ch.remove, unknown); len(wrong) > 0 {
			return illegal("Only quota and SCRAM credential configs can be deleted for 'users' using --bootstrap-server. Unexpected config names: %s", listOf(wrong))
		}
	}
	credentials := len(filter(ch.added(), isScram))+len(filter(ch.remove, isScram)) > 0
	quotas := len(filter(ch.added(), isClientQuota))+len(filter(ch.remove, isClientQuota)) > 0
	switch {
	case credentials && e.hasDefault():
		return illegal("The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.")
	case credentials && quotas:
		return illegal("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.")
	case credentials:
		return t.alterCredentials(e.names[0], ch)
	}
	return t.alterQuotas(e, ch)
}

func (t *tool) alterAddresses(e entity, ch changes) error {
	if wrong := filter(append(ch.added(), ch.remove...), func(key string) bool { return key != "connection_creation_rate" }); len(wrong) > 0 {
		return illegal("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: %s", strings.Join(wrong, ","))
	}
	return t.alterQuotas(e, ch)
}
