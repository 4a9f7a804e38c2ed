package perf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

func TestStats(t *testing.T) {
	now := time.UnixMilli(1000)
	var out bytes.Buffer
	s := newStats(1000, &out, func() time.Time { return now })
	for i := range 1000 {
		now = now.Add(10 * time.Millisecond)
		s.record(now.Add(-time.Duration(i%100)*time.Millisecond), 1024)
	}
	s.total()
	const want = "500 records sent, 100.0 records/sec (0.10 MB/sec), 49.5 ms avg latency, 99.0 ms max latency.\n" +
		"500 records sent, 100.0 records/sec (0.10 MB/sec), 49.5 ms avg latency, 99.0 ms max latency.\n" +
		"1000 records sent, 100.000000 records/sec (0.10 MB/sec), 49.50 ms avg latency, 99.00 ms max latency, 50 ms 50th, 95 ms 95th, 99 ms 99th, 99 ms 99.9th.\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestStatsOfNothing(t *testing.T) {
	now := time.UnixMilli(1000)
	var out bytes.Buffer
	s := newStats(2, &out, func() time.Time { return now })
	now = now.Add(time.Second)
	s.total()
	if want := "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency, 0.00 ms max latency, 0 ms 50th, 0 ms 95th, 0 ms 99th, 0 ms 99.9th.\n"; out.String() != want {
		t.Errorf("%s", out.String())
	}
}

func TestStatsSample(t *testing.T) {
	now := time.UnixMilli(0)
	s := newStats(3*maxSamples, &bytes.Buffer{}, func() time.Time { return now })
	for range 9 {
		s.record(now, 1)
	}
	if len(s.mu.samples) != 3 {
		t.Errorf("%d samples", len(s.mu.samples))
	}
}

func TestThrottle(t *testing.T) {
	start := time.UnixMilli(0)
	for _, c := range []struct {
		rate float64
		n    int64
		at   time.Duration
		want time.Duration
	}{{-1, 1000, 0, 0}, {10, 5, 200 * time.Millisecond, 300 * time.Millisecond}, {10, 5, time.Second, 0}, {0.5, 1, 0, 2 * time.Second}} {
		if got := (throttle{c.rate, start}).pause(c.n, start.Add(c.at)); got != c.want {
			t.Errorf("%v: %v", c, got)
		}
	}
}

func TestPayloads(t *testing.T) {
	r := random(50)
	first, second := r(0), r(1)
	if len(first) != 50 || bytes.Equal(first, second) || strings.Trim(string(first), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Errorf("%s, %s", first, second)
	}
	if !bytes.Equal(first, random(50)(0)) {
		t.Error("another run gives other bytes")
	}
	if got := random(0)(0); len(got) != 0 || got == nil {
		t.Errorf("%v", got)
	}
	if got := monotonic(17); string(got) != "17" {
		t.Errorf("%s", got)
	}
	file := filepath.Join(t.TempDir(), "payload.txt")
	if err := os.WriteFile(file, []byte("one\ntwo\nthree\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p, err := fromFile(file, `\n`, &out)
	if err != nil || out.String() != "Reading payloads from: "+file+"\nNumber of messages read: 3\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
	for range 20 {
		if got := string(p(0)); got != "one" && got != "two" && got != "three" {
			t.Errorf("%q", got)
		}
	}
	if _, err := fromFile(file+"x", `\n`, &out); err == nil || err.Error() != "File does not exist or empty file provided." {
		t.Errorf("%v", err)
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	start := time.Date(2024, 1, 1, 10, 0, 0, 0, time.UTC)
	p := &progress{out: &out, format: layout("yyyy-MM-dd HH:mm:ss:SSS"), start: start, joining: 3412 * time.Millisecond, round: 3412 * time.Millisecond,
		bytes: 100000000, messages: 1000000}
	p.reported.at = start
	end := start.Add(5123 * time.Millisecond)
	p.total(end)
	p.endInterval(end, true)
	const want = "2024-01-01 10:00:00:000, 2024-01-01 10:00:05:123, 95.3674, 18.6155, 1000000, 195198.1261, 3412, 1711, 55.7378, 584453.5359\n" +
		"2024-01-01 10:00:05:123, 0, 95.3674, 18.6155, 1000000, 195198.1261, 3412, 1711, 55.7378, 584453.5359\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if p.round != 0 || p.reported.messages != p.messages {
		t.Errorf("%+v", p)
	}
}

func TestLayout(t *testing.T) {
	at := time.Date(2024, 3, 9, 14, 5, 6, 7_000_000, time.UTC)
	p := &progress{}
	for pattern, want := range map[string]string{"yyyy-MM-dd HH:mm:ss:SSS": "2024-03-09 14:05:06:007", "HH'h'mm": "14h05", "dd.MM.yy hh:mm a": "09.03.24 02:05 PM",
		"ss.SSS": "06.007", "''yyyy": "'2024"} {
		p.format = layout(pattern)
		if got := p.time(at); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

type fakeSender struct{ log []string }

func (f *fakeSender) Send(m *sarama.ProducerMessage) error {
	v, _ := m.Value.Encode()
	f.log = append(f.log, string(v))
	return nil
}
func (f *fakeSender) Begin() error  { f.log = append(f.log, "begin"); return nil }
func (f *fakeSender) Commit() error { f.log = append(f.log, "commit"); return nil }

func TestLoad(t *testing.T) {
	c := cli.NewContext(nil, nil, nil)
	f := &fakeSender{}
	l := &load{records: 3, next: monotonic, throttle: throttle{rate: -1}}
	if err := l.run(c, f); err != nil || strings.Join(f.log, " ") != "0 1 2" {
		t.Errorf("%v, %v", f.log, err)
	}
	f = &fakeSender{}
	l.transaction = time.Hour
	if err := l.run(c, f); err != nil || strings.Join(f.log, " ") != "begin 0 1 2 commit" {
		t.Errorf("%v, %v", f.log, err)
	}
	f = &fakeSender{}
	l.transaction = time.Nanosecond
	if err := l.run(c, f); err != nil || strings.Join(f.log, " ") != "begin 0 commit begin 1 commit begin 2 commit" {
		t.Errorf("%v, %v", f.log, err)
	}
}

func TestReadingLoop(t *testing.T) {
	batches, ended := make(chan stream.Batch, 4), make(chan error, 1)
	r := &reading{most: 3, timeout: time.Minute, interval: time.Hour}
	r.out, r.reported.at = &bytes.Buffer{}, time.Now()
	marked := 0
	m := &sarama.ConsumerMessage{Key: []byte("ab"), Value: []byte("cde")}
	batches <- stream.Batch{Messages: []*sarama.ConsumerMessage{m, m}, Consumed: func(*sarama.ConsumerMessage) { marked++ }}
	batches <- stream.Batch{Messages: []*sarama.ConsumerMessage{m, m}}
	if err, over := r.loop(batches, ended, func() time.Duration { return time.Second }); err != nil || over || r.messages != 4 || r.bytes != 20 || marked != 2 || r.joining != time.Second {
		t.Errorf("%v, %t, %+v", err, over, r)
	}
	r.most = 9
	ended <- errors.New("gone")
	if err, over := r.loop(batches, ended, nil); err == nil || !over {
		t.Errorf("%v, %t", err, over)
	}
	r.timeout = time.Millisecond
	if err, over := r.loop(batches, ended, nil); err != nil || over {
		t.Errorf("%v, %t", err, over)
	}
}

func run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	app := &cli.App{Writer: &out, ErrWriter: &errs, ExitErrHandler: func(*cli.Context, error) {}, DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{ProduceCommand(), ConsumeCommand()}}
	code = option.Code(app.Run(append([]string{"kraal"}, args...)), &errs)
	return out.String(), errs.String(), code
}

func TestMistakes(t *testing.T) {
	consumer, producer := "kafka-consumer-perf-test", "kafka-producer-perf-test"
	for _, c := range []struct {
		args []string
		want string // somewhere on stderr
	}{
		{[]string{consumer}, "Missing required option(s) [bootstrap-server]\nOption "},
		{[]string{consumer, "--topic", "perf", "--messages", "10"}, "Missing required option(s) [bootstrap-server]\nOption "},
		{[]string{consumer, "--bootstrap-server", "a:1", "--topic", "perf"}, "Missing required argument \"[messages]\"\nOption "},
		{[]string{consumer, "--bootstrap-server", "a:1", "--messages", "10"}, "Missing required argument \"[topic]\"\nOption "},
		{[]string{consumer, "--bootstrap-server", "a:1", "--topic", "t", "--messages", "x"}, "Cannot parse argument 'x' of option messages\nOption "},
		{[]string{consumer, "--bootstrap-server", "a:1", "--topic", "t", "--messages", "1", "--reporting-interval", "0"}, "Reporting interval must be greater than 0.\n"},
		{[]string{producer, "--topic", "perf", "--num-records", "10", "--record-size", "10", "--throughput", "-1"},
			"producer-performance: error: Either --producer-props or --producer.config must be specified.\n"},
		{[]string{producer, "--num-records", "10", "--record-size", "10", "--throughput", "-1", "--producer-props", "a=b"},
			"producer-performance: error: argument --topic is required\n"},
		{[]string{producer, "--topic", "perf", "--num-records", "10", "--throughput", "-1", "--producer-props", "a=b"},
			"producer-performance: error: one of the arguments --record-size --payload-file --payload-monotonic is required\n"},
		{[]string{producer, "--topic", "perf", "--num-records", "ten", "--record-size", "10", "--throughput", "-1", "--producer-props", "a=b"},
			"producer-performance: error: argument --num-records: could not convert 'ten' to "},
		{[]string{producer, "--topic", "perf", "--num-records", "1", "--record-size", "10", "--throughput", "-1", "--producer-props", "a=b", "c"},
			"Exception in thread \"main\" java.lang.IllegalArgumentException: Invalid property: c\n"},
		{[]string{producer, "--topic", "perf", "--num-records", "1", "--payload-file", "missing.txt", "--throughput", "-1", "--producer-props", "a=b"},
			"Exception in thread \"main\" java.lang.IllegalArgumentException: File does not exist or empty file provided.\n"},
	} {
		if _, got, code := run(c.args...); code != 1 || !strings.Contains(got, c.want) {
			t.Errorf("%v: exit code %d\n%s", c.args, code, got)
		}
	}
	for code, args := range [][]string{{producer}, {producer, "--help"}} { // help, exit code 0 without arguments
		if out, errs, got := run(args...); got != code || errs != "" || !strings.HasPrefix(out, "usage: producer-performance ") {
			t.Errorf("%v: exit code %d\n%s%s", args, got, out, errs)
		}
	}
}

func TestUnreachable(t *testing.T) {
	out, errs, code := run("producer-perf-test", "--topic", "perf", "--num-records", "2", "--record-size", "10", "--throughput", "-1",
		"--producer-props", "bootstrap.servers=127.0.0.1:1", "max.block.ms=150")
	if code != 0 || !strings.HasPrefix(out, "0 records sent, 0.000000 records/sec (0.00 MB/sec), NaN ms avg latency") ||
		strings.Count(errs, "\norg.apache.kafka.common.errors.TimeoutException: Topic perf not present in metadata after 150 ms.\n") != 2 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	out, _, code = run("consumer-perf-test", "--topic", "perf", "--messages", "2", "--timeout", "200", "--broker-list", "127.0.0.1:1")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "start.time, end.time, ") || !strings.HasPrefix(lines[1], "WARNING: Exiting before consuming the expected number of messages: timeout (200 ms) exceeded.") ||
		!strings.Contains(lines[2], ", 0.0000, 0.0000, 0, 0.0000, 0, ") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestProducerProps(t *testing.T) {
	var got []string
	suite := &option.Suite{Name: "kafka-x", Flags: []cli.Flag{&cli.StringSliceFlag{Name: "producer-props"}, &cli.StringFlag{Name: "topic"}, &cli.BoolFlag{Name: "print-metrics"}}}
	suite.Action = func(c *cli.Context) error {
		got = producerProps(c, suite.Flags)
		return nil
	}
	for text, want := range map[string]string{
		"--producer-props a=b --topic t":                                    "a=b",
		"--producer-props a=b c=d --topic t e=f --print-metrics":            "a=b c=d e=f",
		"--topic t --producer-props a=b c=d":                                "a=b c=d",
		"--producer-props a=b c=d --print-metrics --producer-props e=f g=h": "a=b e=f c=d g=h",
	} {
		got = nil
		app := &cli.App{ExitErrHandler: func(*cli.Context, error) {}, Commands: []*cli.Command{suite.Command()}}
		if err := app.Run(append([]string{"kraal", "x"}, strings.Fields(text)...)); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
