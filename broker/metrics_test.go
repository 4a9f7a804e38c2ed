package broker_test

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// unshown are beans of Kafka's that the usual configuration has no rule for, under the names that one would give them.
var unshown = []string{"kafka_server_leaderreplication_", "kafka_server_followerreplication_", "kafka_server_alterlogdirsreplication_",
	"kafka_server_group_coordinator_metrics_"}

// TestMetrics looks at what two brokers show that lead and follow each other, produce, fetch, create and delete topics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	fleet := brokertest.StartFleet(t, zk.Addr(), 2, map[string]string{"kraal.http.listen": "127.0.0.1:0", "min.insync.replicas": "1",
		"offsets.topic.replication.factor": "2", "transaction.state.log.replication.factor": "2"})
	exercise(t, fleet)
	all, help := seriesSet{}, described(fleet.Node(1).Metrics)
	for _, n := range fleet.Nodes {
		if _, err := n.Metrics.Gather(); err != nil {
			t.Errorf("inconsistent metrics: %v", err)
		}
		for name, family := range scrape(t, n.HTTPAddr()) {
			all.add(name, family)
			help[name] = family.GetHelp()
		}
	}
	doc := readMetricsDoc(t)
	t.Run("are Kafka's", func(t *testing.T) { compareWithKafka(t, all, doc.absent) })
	t.Run("are documented", func(t *testing.T) { doc.compare(t, all, help) })
}

// exercise makes a fleet do a little of everything that is counted.
func exercise(t *testing.T, fleet *brokertest.Fleet) {
	t.Helper()
	c := fleetClient(t, fleet.Addrs())
	createReplicated(t, c, "t", 4, 2)
	sent := mixed("t", 500, 1)
	if err := c.ProduceSync(within(t), sent...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	consume(t, fleet.Node(1).Addr(), "t", len(sent))
	createReplicated(t, c, "gone", 1, 2)
	if _, err := kadm.NewClient(c).DeleteTopic(within(t), "gone"); err != nil {
		t.Fatal(err)
	}
}

// series are the label names and the type of one name. Kafka has names with several sets of labels.
type series struct{ labels, kind string }

type seriesSet map[string][]series

func (all seriesSet) add(name string, f *dto.MetricFamily) {
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		all.put(name, series{strings.Join(labels, ","), strings.ToLower(f.GetType().String())})
	}
}

func (all seriesSet) put(name string, s series) {
	if !slices.Contains(all[name], s) {
		all[name] = append(all[name], s)
	}
}

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, addr string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// kafkaSeries reads the list of Kafka's series: name, label names or -, type.
func kafkaSeries(t *testing.T) seriesSet {
	t.Helper()
	content, err := os.ReadFile("testdata/kafka-series.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := seriesSet{}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		all.put(f[0], series{strings.TrimPrefix(f[1], "-"), f[2]})
	}
	return all
}

// compareWithKafka wants every series of Kafka's, but for those that are absent for a reason.
func compareWithKafka(t *testing.T, got seriesSet, absent map[string]string) {
	want := kafkaSeries(t)
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		for _, s := range want[name] {
			entry := entryFor(absent, name, s)
			used[entry] = true
			switch there := slices.Contains(got[name], s); {
			case !there && entry == "":
				t.Errorf("%s{%s}, a %s of Kafka's, is missing; there is %v", name, s.labels, s.kind, got[name])
			case there && entry != "":
				t.Errorf("%s{%s} is there: take %s out of the table of those that are not, in %s", name, s.labels, entry, metricsDoc)
			}
		}
	}
	for entry := range absent {
		if !used[entry] {
			t.Errorf("%s: Kafka has no %s", metricsDoc, entry)
		}
	}
	// The other way round: what is called as if it were Kafka's has to be.
	for _, name := range slices.Sorted(maps.Keys(got)) {
		for _, s := range got[name] {
			// Kafka shows a topic's counts once there are any, and the recording has not all.
			byTopic := s == series{"topic", "counter"} && slices.Contains(want[name], series{"", "counter"}) && strings.Contains(name, "_brokertopicmetrics_")
			if slices.ContainsFunc(unshown, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
				continue
			}
			if strings.HasPrefix(name, "kafka_") && !slices.Contains(want[name], s) && !byTopic {
				t.Errorf("%s{%s}, a %s, is not Kafka's, which has %v", name, s.labels, s.kind, want[name])
			}
		}
	}
}

// entryFor finds the entry of the table of absent series that is about one. An entry ending in * is for all names that begin so, one
// with labels only for the series with these.
func entryFor(table map[string]string, name string, s series) string {
	for entry := range table {
		prefix, many := strings.CutSuffix(entry, "*")
		if entry == name || entry == name+"{"+s.labels+"}" || many && strings.HasPrefix(name, prefix) {
			return entry
		}
	}
	return ""
}
