package broker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// groups are writes as lines, in order within each group. What one request writes itself is one group; the znodes of a partition, which
// the controller writes for many partitions at once, are a group each.
type groups struct {
	order []string
	lines map[string][]string
}

var partitionPath = regexp.MustCompile(`^/brokers/topics/([^/]+)/partitions(/\d+)?`)

// byGroup renders the writes of a phase.
func byGroup(phase string, writes []zktest.Write) groups {
	g := groups{lines: make(map[string][]string)}
	base := baseline{}
	for _, w := range writes {
		if ignored(phase, &w) {
			continue
		}
		group := groupOf(phase, &w)
		if _, ok := g.lines[group]; !ok {
			g.order = append(g.order, group)
		}
		g.lines[group] = append(g.lines[group], line(phase, &w, base))
	}
	return g
}

// differences are writes that only one side makes, and why that is as it should be.
var differences = []struct {
	why string
	is  func(phase string, w *zktest.Write) bool
}{
	{"delegation tokens are not served yet", func(_ string, w *zktest.Write) bool { return strings.HasPrefix(w.Path, "/delegation_token") }},
	{"Kafka makes sure of the queue before each change, kraal when it begins to follow it", func(_ string, w *zktest.Write) bool {
		return w.Path == "/config/changes" && w.Err == "NODEEXISTS"
	}},
	{"Kafka deletes the request for elections even if there is none", func(_ string, w *zktest.Write) bool {
		return w.Op == "multi" && w.Ops[len(w.Ops)-1].Path == "/admin/preferred_replica_election"
	}},
	{"this partition of the recorded topic had three replicas", func(phase string, w *zktest.Write) bool {
		return phase == "05a" && w.Op == "multi" && w.Ops[1].Op == "setData" && w.Ops[1].Path == "/brokers/topics/move/partitions/1/state"
	}},
}

func ignored(phase string, w *zktest.Write) bool {
	for _, d := range differences {
		if d.is(phase, w) {
			return true
		}
	}
	return false
}

func groupOf(phase string, w *zktest.Write) string {
	path := w.Path
	if w.Op == "multi" {
		path = w.Ops[len(w.Ops)-1].Path
	}
	switch m := partitionPath.FindStringSubmatch(path); {
	case phase == "01a" || phase == "01b":
		return w.Client
	case phase == "05a" && w.Op == "multi" && w.Ops[len(w.Ops)-1].Op == "setData":
		return path
	case phase == "05a" && m != nil && m[2] != "":
		return "deletion of " + m[0]
	case phase == "05a":
		return "deletion"
	case m != nil:
		return m[0]
	case strings.HasPrefix(path, "/config/changes/"):
		var change struct {
			Path string `json:"entity_path"`
		}
		_ = json.Unmarshal([]byte(*w.Data), &change) // what is no JSON gets a group of its own
		return change.Path
	case strings.HasPrefix(path, "/config/"):
		return strings.TrimPrefix(path, "/config/")
	case strings.HasPrefix(path, "/brokers/topics/"):
		return strings.TrimPrefix(path, "/brokers/")
	}
	return path
}

// baseline holds the version and epoch that a znode had before the phase, so that those in it count from there.
type baseline map[string]int64

func (b baseline) since(path, what string, n int64) string {
	first, ok := b[path+" "+what]
	if !ok {
		b[path+" "+what], first = n, n
	}
	return fmt.Sprintf("first+%d", n-first)
}

// line renders a write, without what no two runs have in common.
func line(phase string, w *zktest.Write, base baseline) string {
	if w.Op == "multi" {
		parts := make([]string, len(w.Ops))
		for i := range w.Ops {
			parts[i] = line(phase, &w.Ops[i], base)
		}
		return "multi{" + strings.Join(parts, "; ") + "}"
	}
	s := w.Op + " " + w.Path
	if w.Version != nil {
		version := fmt.Sprint(*w.Version)
		switch {
		case w.Path == "/controller_epoch" && w.Op == "check":
			version = "of this controller"
		case strings.HasSuffix(w.Path, "/state") && *w.Version >= 0:
			version = base.since(w.Path, "version", int64(*w.Version))
		}
		s += " if version " + version
	}
	if w.Mode != "" {
		s += " " + w.Mode + fmt.Sprint(w.ACL)
	}
	if w.Op == "create" || w.Op == "setData" {
		s += " " + content(phase, w, base)
	}
	if w.Err != "OK" {
		s += " -> " + w.Err
	}
	return s
}

// volatileKeys are keys of JSON in znodes whose values no two runs have in common; only their kind counts.
var volatileKeys = []string{"timestamp", "topic_id", "host", "port", "endpoints", "listener_security_protocol_map", "controller_epoch"}

func content(phase string, w *zktest.Write, base baseline) string {
	if w.Data == nil {
		return "null"
	}
	var object map[string]any
	if json.Unmarshal([]byte(*w.Data), &object) != nil {
		return *w.Data
	}
	if config, ok := object["config"].(map[string]any); ok && config["advertised.listeners"] != nil {
		config["advertised.listeners"] = "any"
	}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		_, list := object[k].([]any)
		placed := phase == "05a" || phase[:2] == "02" && phase != "02b" || strings.HasPrefix(w.Path, "/brokers/topics/one")
		switch n, number := object[k].(float64); {
		case slices.Contains(volatileKeys, k), k == "id" && w.Path == "/cluster/id", k == "broker" && w.Path == "/latest_producer_id_block":
			object[k] = fmt.Sprintf("any %T", object[k])
		case k == "leader_epoch" && number:
			object[k] = base.since(w.Path, k, int64(n))
		case placed && (k == "leader" || k == "isr" && list || k == "partitions"):
			object[k] = shape(object[k])
		}
	}
	b, _ := json.Marshal(object) // it came from JSON
	return string(b)
}

// shape is what counts of replicas placed at random: how many.
func shape(v any) any {
	switch v := v.(type) {
	case []any:
		return fmt.Sprintf("%d replicas", len(v))
	case map[string]any:
		for k := range v {
			v[k] = shape(v[k])
		}
		return v
	}
	return "a broker"
}
