package broker_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// metricsDoc is the document of all metrics. It is read here, so that it says what is there and what is not.
const metricsDoc = "../docs/metrics.md"

// metricsDocument is what the document says.
type metricsDocument struct {
	series  seriesSet
	meaning map[string]string
	absent  map[string]string // series of Kafka's, and why
}

// readMetricsDoc reads the tables: of series (name, labels, type, unit, meaning) and of those that Kafka has alone (name, reason).
func readMetricsDoc(t *testing.T) metricsDocument {
	t.Helper()
	content, err := os.ReadFile(metricsDoc)
	if err != nil {
		t.Fatal(err)
	}
	d := metricsDocument{series: seriesSet{}, meaning: map[string]string{}, absent: map[string]string{}}
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 4 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		name := strings.Trim(cells[1], "`")
		switch len(cells) {
		case 4:
			d.absent[name] = cells[2]
		case 7:
			d.add(t, name, cells[2], cells[3])
			d.meaning[name] = cells[5]
			if cells[4] == "" || cells[5] == "" {
				t.Errorf("%s: %s has no unit or no meaning", metricsDoc, name)
			}
		default:
			t.Errorf("%s: not understood: %s", metricsDoc, line)
		}
	}
	return d
}

// add notes a series; sets of labels are divided by slashes.
func (d *metricsDocument) add(t *testing.T, name, labels, kind string) {
	if d.series[name] != nil {
		t.Errorf("%s has %s twice", metricsDoc, name)
	}
	for set := range strings.SplitSeq(labels, " / ") {
		names := strings.Split(set, ", ")
		if set == "-" {
			names = nil
		}
		with := func(more ...string) string {
			return strings.Join(slices.Sorted(slices.Values(append(more, names...))), ",")
		}
		switch kind {
		case "distribution":
			d.series.put(name, series{with("quantile"), "gauge"})
			d.series.put(name+"_count", series{with(), "counter"})
		default:
			d.series.put(name, series{with(), kind})
		}
	}
}

// described returns the names and help texts of all collectors that describe themselves, whether or not they have shown anything.
func described(r *prometheus.Registry) map[string]string {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		r.Describe(descs)
	}()
	all := map[string]string{}
	for d := range descs {
		_, rest, _ := strings.Cut(d.String(), `fqName: "`)
		name, rest, _ := strings.Cut(rest, `", help: "`)
		all[name], _, _ = strings.Cut(rest, `", `)
	}
	return all
}

// compare wants what is shown to be documented, and what is documented to be shown, or at least to be ready to be shown. What a
// series means is said in the same words here and there; described has those.
func (d *metricsDocument) compare(t *testing.T, got seriesSet, described map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue // described by their own library
		}
		for _, s := range got[name] {
			if !slices.Contains(d.series[name], s) {
				t.Errorf("%s lacks %s{%s}, a %s; the row would be\n| `%s` | %s | %s | <unit> | %s |",
					metricsDoc, name, s.labels, s.kind, name, strings.ReplaceAll(s.labels, ",", ", "), s.kind, described[name])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(described)) {
		own := strings.HasPrefix(name, "kafka_") || strings.HasPrefix(name, "kraal_")
		if own && d.series[name] == nil {
			t.Errorf("%s lacks %s: %s", metricsDoc, name, described[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.series)) {
		for _, s := range d.series[name] {
			_, ready := described[name]
			optional := ready && got[name] == nil || s.labels == "topic" && slices.Contains(got[name], series{"", s.kind})
			if !slices.Contains(got[name], s) && !optional {
				t.Errorf("%s has %s{%s}, a %s, and the brokers %v", metricsDoc, name, s.labels, s.kind, got[name])
			}
		}
		if help, ready := described[name]; ready && d.meaning[name] != "" && d.meaning[name] != help {
			t.Errorf("%s says of %s: %s\nand HELP is: %s", metricsDoc, name, d.meaning[name], help)
		}
	}
}
