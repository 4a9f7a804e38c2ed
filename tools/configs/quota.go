package configs

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javatext"
)

func isClientQuota(key string) bool {
	switch key {
	case "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate":
		return true
	}
	return false
}

var quotaType = map[string]sarama.QuotaEntityType{users: sarama.QuotaEntityUser, clients: sarama.QuotaEntityClientID, ips: sarama.QuotaEntityIP}

// quotaTitles is how entities are printed, in this order.
var quotaTitles = []struct {
	kind  sarama.QuotaEntityType
	title string
}{{sarama.QuotaEntityUser, "user-principal"}, {sarama.QuotaEntityClientID, "client-id"}, {sarama.QuotaEntityIP, "ip"}}

// quotas returns the entities that have exactly the types of e, and where e has names, those names.
func (t *tool) quotas(e entity) (found []sarama.DescribeClientQuotasEntry, err error) {
	if len(e.names) > len(e.types) {
		return nil, illegal("More entity names specified than entity types")
	}
	var components []sarama.QuotaFilterComponent
	for i, kind := range e.types {
		c := sarama.QuotaFilterComponent{EntityType: quotaType[kind], MatchType: sarama.QuotaMatchAny}
		if i < len(e.names) {
			c.Match, c.MatchType = e.names[i], sarama.QuotaMatchExact
			if c.Match == "" {
				c.MatchType = sarama.QuotaMatchDefault
			}
		}
		components = append(components, c)
	}
	err = t.call("describeClientQuotas", client.Any, func(n *client.Node) error {
		resp, err := n.DescribeClientQuotas(sarama.NewDescribeClientQuotasRequest(t.cluster.Config().Version, components, true))
		if err != nil {
			return err
		}
		found = resp.Entries
		return client.FromKError(resp.ErrorCode, resp.ErrorMsg)
	})
	slices.SortFunc(found, compareEntries)
	return found, err
}

// compareEntries puts default entities first, then sorts by name; Kafka prints in the order of a hash map.
func compareEntries(a, b sarama.DescribeClientQuotasEntry) int {
	for _, t := range quotaTitles {
		x, y := component(a, t.kind), component(b, t.kind)
		if x == nil || y == nil {
			continue
		}
		if x.MatchType != y.MatchType {
			return cmp.Compare(y.MatchType, x.MatchType) // exact is 0, default is 1
		}
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
	}
	return 0
}

func component(e sarama.DescribeClientQuotasEntry, kind sarama.QuotaEntityType) *sarama.QuotaEntityComponent {
	for i := range e.Entity {
		if e.Entity[i].EntityType == kind {
			return &e.Entity[i]
		}
	}
	return nil
}

func (t *tool) describeQuotas(e entity) error {
	found, err := t.quotas(e)
	for _, entry := range found {
		t.print("%s\n", formatQuota(entry))
	}
	return err
}

func formatQuota(e sarama.DescribeClientQuotasEntry) string {
	var names, values []string
	for _, t := range quotaTitles {
		switch c := component(e, t.kind); {
		case c == nil:
		case c.MatchType == sarama.QuotaMatchDefault:
			names = append(names, "the default "+t.title)
		default:
			names = append(names, t.title+" '"+c.Name+"'")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Values)) {
		values = append(values, key+"="+javatext.Double(e.Values[key]))
	}
	return "Quota configs for " + strings.Join(names, ", ") + " are " + strings.Join(values, ", ")
}

func (t *tool) alterQuotas(e entity, ch changes) error {
	old, err := t.quotas(e)
	if err != nil {
		return err
	}
	wrong := filter(ch.remove, func(key string) bool {
		if len(old) == 0 {
			return true
		}
		_, ok := old[0].Values[key]
		return !ok
	})
	if len(wrong) > 0 {
		return invalidConfigs("Invalid config(s)", wrong)
	}
	entry := sarama.AlterClientQuotasEntry{}
	for i, kind := range e.types {
		c := sarama.QuotaEntityComponent{EntityType: quotaType[kind], Name: e.names[i]}
		if c.Name == "" {
			c.MatchType = sarama.QuotaMatchDefault
		}
		entry.Entity = append(entry.Entity, c)
	}
	for _, key := range ch.added() {
		value, err := strconv.ParseFloat(ch.add[key], 64)
		if err != nil {
			return illegal("Cannot parse quota configuration value for %s: %s", key, ch.add[key])
		}
		entry.Ops = append(entry.Ops, sarama.ClientQuotasOp{Key: key, Value: value})
	}
	for _, key := range ch.remove {
		entry.Ops = append(entry.Ops, sarama.ClientQuotasOp{Key: key, Remove: true})
	}
	return t.call("alterClientQuotas", client.Any, func(n *client.Node) error {
		resp, err := n.AlterClientQuotas(&sarama.AlterClientQuotasRequest{Version: 1, Entries: []sarama.AlterClientQuotasEntry{entry}})
		if err != nil {
			return err
		}
		for _, r := range resp.Entries {
			if err := client.FromKError(r.ErrorCode, r.ErrorMsg); err != nil {
				return err
			}
		}
		return nil
	})
}
