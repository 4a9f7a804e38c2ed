package consume

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

func sample() []*record {
	headers := []header{{"a", []byte("1")}, {"b", []byte("2")}}
	return []*record{
		{topic: "lines", offset: 0, timestamp: 1795367370582, timestampType: createTime, headers: headers, key: []byte("k1"), value: []byte("v1")},
		{topic: "lines", offset: 1, timestamp: 1795367370613, timestampType: logAppendTime, headers: []header{{"c", nil}}, key: []byte{}, value: []byte("v2")},
		{topic: "lines", offset: 2, timestamp: -1},
	}
}

func formatted(t *testing.T, class, properties string, records ...*record) string {
	t.Helper()
	p := map[string]string{}
	for word := range strings.SplitSeq(properties, " ") {
		key, value, _ := strings.Cut(word, "=")
		p[key] = value
	}
	f, err := newFormatter(class, p, func(problem string) { t.Log(problem) })
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	for _, r := range records {
		if err := f.write(out, r); err != nil {
			out.WriteString("error: " + err.Error() + "\n")
		}
	}
	out.Flush()
	return b.String()
}

// TestDefaultFormatter follows what kafka-console-consumer 3.9.1 printed for such records.
func TestDefaultFormatter(t *testing.T) {
	all := "print.timestamp=true print.partition=true print.offset=true print.headers=true print.key=true"
	for properties, want := range map[string]string{
		"": "v1\nv2\nnull\n",
		all: "CreateTime:1795367370582\tPartition:0\tOffset:0\ta:1,b:2\tk1\tv1\n" +
			"LogAppendTime:1795367370613\tPartition:0\tOffset:1\tc:null\t\tv2\n" +
			"NO_TIMESTAMP\tPartition:0\tOffset:2\tNO_HEADERS\tnull\tnull\n",
		"print.key=true print.value=false null.literal=NIL key.separator=| line.separator=;": "k1;;NIL;",
		"print.headers=true headers.separator=; null.literal=-":                              "a:1;b:2\tv1\nc:-\tv2\nNO_HEADERS\t-\n",
		"print.value=FALSE print.offset=True":                                                "Offset:0\nOffset:1\nOffset:2\n",
		"print.value=false print.timestamp= true":                                            "",
		"print.value=false":                      "",
		"print.value=false print.timestamp=true": "CreateTime:1795367370582\nLogAppendTime:1795367370613\nNO_TIMESTAMP\n",
		"value.deserializer=org.apache.kafka.common.serialization.LongDeserializer print.key=true": "error: Size of data received by LongDeserializer is not 8\n" +
			"error: Size of data received by LongDeserializer is not 8\nnull\tnull\n",
		"value.deserializer=no.such.Class": "v1\nv2\nnull\n",
	} {
		if got := formatted(t, formatters+"DefaultMessageFormatter", properties, sample()...); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", properties, got, want)
		}
	}
}

func TestOtherFormatters(t *testing.T) {
	commit := &record{key: (&kmsg.OffsetCommitKey{Version: 1, Group: "g", Topic: "t"}).AppendTo(nil),
		value: (&kmsg.OffsetCommitValue{Version: 3, Offset: 2, LeaderEpoch: -1, CommitTimestamp: 5}).AppendTo(nil)}
	deleted := &record{key: (&kmsg.GroupMetadataKey{Version: 2, Group: "g"}).AppendTo(nil)}
	for class, want := range map[string]string{
		formatters + "NoOpMessageFormatter":                                       "",
		formatters + "LoggingMessageFormatter":                                    string(commit.value) + "\nnull\n",
		formatters + "OffsetsMessageFormatter":                                    `{"key":{"version":1,"data":{"group":"g","topic":"t","partition":0}},"value":{"version":3,"data":{"offset":2,"leaderEpoch":-1,"metadata":"","commitTimestamp":5}}}` + "\n",
		formatters + "GroupMetadataMessageFormatter":                              `{"key":{"version":2,"data":{"group":"g"}},"value":null}` + "\n",
		coordinators + "group.GroupMetadataManager$OffsetsMessageFormatter":       "[g,t,0]::OffsetAndMetadata(offset=2, leaderEpoch=Optional.empty, metadata=, commitTimestamp=5, expireTimestamp=None)\n",
		coordinators + "group.GroupMetadataManager$GroupMetadataMessageFormatter": "g::NULL\n",
	} {
		if got := formatted(t, class, "", commit, deleted); got != want {
			t.Errorf("%s: %q", class, got)
		}
	}
	if _, err := newFormatter("no.such.Class", nil, nil); err == nil || err.Error() != "no.such.Class" {
		t.Errorf("%v", err)
	}
}

func TestDeserializers(t *testing.T) {
	for _, c := range []struct{ class, in, want string }{
		{"StringDeserializer", "h\xff", "h\ufffd"},
		{"ByteArrayDeserializer", "h\xff", "h\xff"},
		{"BytesDeserializer", "a\\\xff\n", `a\x5C\xFF\x0A`},
		{"ShortDeserializer", "\xff\xfe", "-2"},
		{"IntegerDeserializer", "\x00\x00\x01\x00", "256"},
		{"LongDeserializer", "\xff\xff\xff\xff\xff\xff\xff\xff", "-1"},
		{"LongDeserializer", "v1", "Size of data received by LongDeserializer is not 8"},
		{"FloatDeserializer", "\x3f\xc0\x00\x00", "1.5"},
		{"DoubleDeserializer", "\x41\x63\x12\xd0\x00\x00\x00\x00", "1.0E7"},
		{"BooleanDeserializer", "\x01", "true"},
		{"BooleanDeserializer", "\x07", "Unexpected byte received by BooleanDeserializer: 7"},
		{"UUIDDeserializer", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e"},
		{"UUIDDeserializer", "1-2-3-4-5", "00000001-0002-0003-0004-000000000005"},
		{"UUIDDeserializer", "x", "Error parsing data into UUID"},
		{"VoidDeserializer", "x", "Data should be null for a VoidDeserializer."},
	} {
		d, ok := newDeserializer(serialization + c.class)
		if !ok {
			t.Errorf("no %s", c.class)
			continue
		}
		got, err := d([]byte(c.in))
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.class, c.in, got, c.want)
		}
	}
}

func TestMillis(t *testing.T) {
	for _, c := range []struct {
		t    time.Time
		want int64
	}{{time.UnixMilli(1700000000001), 1700000000001}, {time.UnixMilli(0), 0}, {time.Time{}, -1}, {time.Time{}.Add(5 * time.Millisecond), 4}} {
		if got := millis(c.t); got != c.want {
			t.Errorf("%v: %d, want %d", c.t, got, c.want)
		}
	}
}

func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{Writer: &out, ErrWriter: &errs, ExitErrHandler: func(*cli.Context, error) {}, DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{Command()}}
	code = option.Code(app.Run(append([]string{"kraal", "kafka-console-consumer"}, args...)), &errs)
	return out.String(), errs.String(), code
}

// TestMistakes has the first lines of what kafka-console-consumer 3.9.1 printed.
func TestMistakes(t *testing.T) {
	lines := []string{"--bootstrap-server", "127.0.0.1:1", "--topic", "lines"}
	with := func(args ...string) []string { return append(lines[:len(lines):len(lines)], args...) }
	table := "\nOption "
	for _, c := range []struct {
		args []string
		want string
	}{
		{lines[:2], "Exactly one of --include/--topic is required. " + table},
		{append(lines[:2:2], "--whitelist", "x", "--topic", "y"), "Exactly one of --include/--topic is required. --whitelist is DEPRECATED use --include instead; ignored if --include specified." + table},
		{lines[2:], "Missing required argument \"[bootstrap-server]\"" + table},
		{with("--include", "x"), "Exactly one of --include/--topic is required. " + table},
		{with("--offset", "1"), "The partition is required when offset is specified." + table},
		{append(lines[:2:2], "--include", "lines", "--partition", "0"), "The topic is required when partition is specified." + table},
		{with("--partition", "0", "--offset", "never"), "The provided offset value 'never' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long." + table},
		{with("--partition", "0", "--offset", "-3"), "The provided offset value '-3' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long." + table},
		{with("--partition", "0", "--offset", "1", "--from-beginning"), "Options from-beginning and offset cannot be specified together." + table},
		{with("--partition", "0", "--group", "g1"), "Options group and partition cannot be specified together." + table},
		{with("--group", "g1", "--consumer-property", "group.id=g2"), "The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--consumer.config') do not match. Detected group ids: 'g1', 'g2'" + table},
		{with("--from-beginning", "--consumer-property", "auto.offset.reset=latest"), "Can't simultaneously specify --from-beginning and 'auto.offset.reset=latest', please remove one option\n"},
		{with("--formatter", "no.such.Class"), "no.such.Class" + table},
		{with("--zookeeper", "x"), "zookeeper is not a recognized option" + table},
		{with("--max-messages", "x"), "Exception in thread \"main\" joptsimple.OptionArgumentConversionException: Cannot parse argument 'x' of option max-messages\n"},
		{with("--consumer.config", "missing.properties"), "Exception in thread \"main\" java.nio.file.NoSuchFileException: missing.properties\n"},
	} {
		if out, got, code := run(t, c.args...); code != 1 || out != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: exit code %d\n%s%s", c.args, code, out, got)
		}
	}
	_, got, code := run(t, with("--isolation-level", "nonsense")...)
	const want = "org.apache.kafka.common.config.ConfigException: Invalid value nonsense for configuration isolation.level: String must be one of: read_committed, read_uncommitted\n"
	if code != 1 || !strings.Contains(got, "ERROR Unknown error when running consumer: ") || !strings.HasSuffix(got, want) {
		t.Errorf("exit code %d\n%s", code, got)
	}
}

func TestUnreachable(t *testing.T) {
	for _, group := range [][]string{nil, {"--group", "g"}} {
		out, got, code := run(t, append([]string{"--bootstrap-server", "127.0.0.1:1", "--topic", "lines", "--timeout-ms", "300", "--enable-systest-events"}, group...)...)
		if code != 0 || out != "shutdown_complete\n" || !strings.Contains(got, "ERROR Error processing message, terminating consumer process: ") ||
			!strings.HasSuffix(got, "\norg.apache.kafka.common.errors.TimeoutException\nProcessed a total of 0 messages\n") {
			t.Errorf("%v: exit code %d\n%s%s", group, code, out, got)
		}
	}
}

// A loop test feeds the printer by hand.
func loop(t *testing.T, p *printer, feed func(batches chan<- stream.Batch, ended chan<- error)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	p.out = bufio.NewWriter(&out)
	if p.err == nil {
		p.err = &out
	}
	if p.formatter == nil {
		p.formatter = newDefaultFormatter(nil, nil)
	}
	if p.timeout == 0 {
		p.timeout = forever
	}
	batches, ended := make(chan stream.Batch, 10), make(chan error, 1)
	feed(batches, ended)
	err := p.loop(context.Background(), batches, ended)
	p.out.Flush()
	return out.String(), err
}

func messages(values ...string) []*sarama.ConsumerMessage {
	var list []*sarama.ConsumerMessage
	for i, v := range values {
		list = append(list, &sarama.ConsumerMessage{Topic: "t", Offset: int64(i), Value: []byte(v)})
	}
	return list
}

func TestLoopCountsAndMarks(t *testing.T) {
	marked := 0
	mark := func(*sarama.ConsumerMessage) { marked++ }
	p := &printer{settings: &settings{most: 3}}
	out, err := loop(t, p, func(b chan<- stream.Batch, _ chan<- error) {
		b <- stream.Batch{Messages: messages("a", "b"), Consumed: mark}
		b <- stream.Batch{Messages: messages("c", "d"), Consumed: mark}
	})
	if out != "a\nb\nc\n" || err != nil || p.count != 3 || marked != 3 {
		t.Errorf("%q, %v, count %d, marked %d", out, err, p.count, marked)
	}
}

func TestLoopEnds(t *testing.T) {
	invalidTopics := "Invalid topics: [x y]"
	for name, c := range map[string]struct {
		settings settings
		feed     func(*printer, chan<- stream.Batch, chan<- error)
		reason   error
		code     int
		says     string
	}{
		"timeout": {settings{most: -1, timeout: time.Millisecond}, func(*printer, chan<- stream.Batch, chan<- error) {}, errTimeout, 0,
			"org.apache.kafka.common.errors.TimeoutException\nProcessed a total of 0 messages\n"},
		"signal": {settings{most: -1}, func(p *printer, _ chan<- stream.Batch, _ chan<- error) {
			p.signals = make(chan os.Signal, 1)
			p.signals <- syscall.SIGINT
		}, nil, 130, "Processed a total of 0 messages\n"},
		"failure": {settings{most: -1}, func(_ *printer, _ chan<- stream.Batch, ended chan<- error) {
			ended <- client.FromCode(17, &invalidTopics)
		},
			errSource, 0, "org.apache.kafka.common.errors.InvalidTopicException: Invalid topics: [x y]\nProcessed a total of 0 messages\n"},
		"authentication": {settings{most: -1}, func(_ *printer, _ chan<- stream.Batch, ended chan<- error) {
			ended <- client.FromKError(sarama.ErrSASLAuthenticationFailed, nil)
		}, errSource, 1, client.SASLAuthentication},
		"format": {settings{most: -1, formatter: newDefaultFormatter(map[string]string{"value.deserializer": serialization + "LongDeserializer"}, nil)},
			func(_ *printer, b chan<- stream.Batch, _ chan<- error) { b <- stream.Batch{Messages: messages("v1")} }, nil, 1,
			"Processed a total of 1 messages\n"},
	} {
		var errs bytes.Buffer
		p := &printer{settings: &c.settings, err: &errs}
		_, err := loop(t, p, func(b chan<- stream.Batch, ended chan<- error) { c.feed(p, b, ended) })
		if c.reason != nil && !errors.Is(err, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
		if code := p.explain(err); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: exit code %d\n%s", name, code, errs.String())
		}
	}
}

func TestLoopSkips(t *testing.T) {
	var errs bytes.Buffer
	p := &printer{settings: &settings{most: 1, formatter: newDefaultFormatter(map[string]string{"value.deserializer": serialization + "LongDeserializer"}, nil)},
		skip: true, err: &errs}
	out, err := loop(t, p, func(b chan<- stream.Batch, _ chan<- error) { b <- stream.Batch{Messages: messages("v1")} })
	if out != "" || err != nil || !strings.Contains(errs.String(), "ERROR Error processing message, skipping this message: ") ||
		!strings.Contains(errs.String(), "org.apache.kafka.common.errors.SerializationException: Size of data received by LongDeserializer is not 8\n") {
		t.Errorf("%q, %v\n%s", out, err, errs.String())
	}
}
