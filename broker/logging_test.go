package broker_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker"
)

func TestLogFormats(t *testing.T) {
	write := func(format string) string {
		var out bytes.Buffer
		l, err := broker.NewLogging(&out, format, "INFO")
		if err != nil {
			t.Fatal(err)
		}
		log := l.Logger("storage")
		log.Debug("not this")
		log.Info("logs loaded", zap.Int("logs", 3), zap.Duration("took", 1234567890*time.Nanosecond), zap.Durations("steps", []time.Duration{42_600, 0, -time.Hour}))
		if out.Len() == 0 || strings.Count(out.String(), "\n") != 1 {
			t.Fatalf("%s: %q", format, out.String())
		}
		return strings.TrimSpace(out.String())
	}
	console := strings.Split(write("console"), "\t")
	if len(console) != 5 || console[1] != "INFO" || console[2] != "storage" || console[3] != "logs loaded" ||
		console[4] != `{"logs": 3, "took": "1.23s", "steps": ["42.6µs", "0s", "-1h0m0s"]}` {
		t.Errorf("console: %q", console)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z0700", console[0]); err != nil {
		t.Error(err)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(write("json")), &line); err != nil {
		t.Fatal(err)
	}
	if line["level"] != "info" || line["logger"] != "storage" || line["msg"] != "logs loaded" || line["logs"] != 3.0 || line["took"] != "1.23s" || line["ts"] == nil {
		t.Errorf("json: %v", line)
	}
	for _, wrong := range [][2]string{{"xml", "INFO"}, {"json", "LOUD"}} {
		if _, err := broker.NewLogging(&bytes.Buffer{}, wrong[0], wrong[1]); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

func TestLogLevelsChange(t *testing.T) {
	var out bytes.Buffer
	l, err := broker.NewLogging(&out, "console", "WARN")
	if err != nil {
		t.Fatal(err)
	}
	a, b := l.Logger("a"), l.Logger("b")
	said := func() string {
		out.Reset()
		a.Info("from a")
		b.Info("from b")
		return strings.Join(strings.FieldsFunc(out.String(), func(r rune) bool { return r != 'a' && r != 'b' }), "")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := said(); got != "" {
		t.Errorf("at WARN: %q", got)
	}
	must(l.SetLevel("a", "DEBUG"))
	if got := said(); got != "aa" {
		t.Errorf("with a at DEBUG: %q", got)
	}
	must(l.SetLevel("root", "INFO"))
	if got := said(); got != "aabb" {
		t.Errorf("with the root at INFO: %q", got)
	}
	must(l.SetLevel("root", "OFF"))
	if got := said(); got != "aa" {
		t.Errorf("a logger's own level does not outlive the root's: %q", got)
	}
	must(l.UnsetLevel("a"))
	if got := said(); got != "" {
		t.Errorf("at OFF: %q", got)
	}
	if l.SetLevel("nobody", "INFO") == nil || l.UnsetLevel("nobody") == nil || l.SetLevel("a", "LOUD") == nil {
		t.Error("an unknown logger or level is taken")
	}
	if levels := l.Levels(); levels["root"] != "OFF" || levels["a"] != "OFF" || len(levels) != 3 {
		t.Errorf("%v", levels)
	}
}
