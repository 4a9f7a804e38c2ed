package configs

import "slices"

func (t *tool) describe(e entity) error {
	switch e.types[0] {
	case users, clients:
		if err := t.describeQuotas(e); err != nil {
			return err
		}
		if e.has(clients) || slices.Contains(e.names, "") {
			return nil
		}
		return t.describeCredentials(e.names)
	case ips:
		return t.describeQuotas(e)
	}
	return t.describeResources(e)
}
