package produce

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

func TestLines(t *testing.T) {
	for in, want := range map[string][]string{
		"":                                      nil,
		"\n":                                    {""},
		"one\ntwo\n\nvier\n":                    {"one", "two", "", "vier"},
		"no end":                                {"no end"},
		"a\r\nb\rc\n\rd":                        {"a", "b", "c", "", "d"},
		"a\r":                                   {"a"},
		"a\r\n":                                 {"a"},
		"0123456789\nshort\n":                   {"01234567+2", "short"},
		"0123456789":                            {"01234567+2"},
		"01234567":                              {"01234567"},
		strings.Repeat("x", 3*readSize) + "\ny": {"xxxxxxxx+786424", "y"},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(in), "halves": iotest.HalfReader(strings.NewReader(in)),
			"bytes": iotest.OneByteReader(strings.NewReader(in)), "early EOF": iotest.DataErrReader(strings.NewReader(in))} {
			if name == "bytes" && len(in) > readSize {
				continue
			}
			if got := all(t, newLines(r, 8)); !slices.Equal(got, want) {
				t.Errorf("%s: %.40q gave %q, want %q", name, in, got, want)
			}
		}
	}
}

func TestLinesHoldNoMoreThanTheyMust(t *testing.T) {
	l := newLines(io.LimitReader(zeros{}, 64<<20), 1000)
	line, size, err := l.next()
	if err != nil || len(line) != 1000 || size != 64<<20 {
		t.Errorf("%d bytes of %d, %v", len(line), size, err)
	}
	if len(l.buf) != readSize {
		t.Errorf("the buffer has grown to %d", len(l.buf))
	}
}

func TestLinesReportFailures(t *testing.T) {
	l := newLines(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(errors.New("broken"))), 8)
	if line, _, err := l.next(); string(line) != "a" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if line, _, err := l.next(); err == nil || err.Error() != "broken" {
		t.Errorf("%q, %v", line, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func all(t *testing.T, l *lines) []string {
	t.Helper()
	var got []string
	for {
		line, size, err := l.next()
		if err == io.EOF {
			return got
		} else if err != nil {
			t.Fatal(err)
		}
		text := string(line)
		if size > len(line) {
			text += "+" + itoa(size-len(line))
		}
		got = append(got, text)
	}
}

func itoa(n int) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

// show writes a message as the console consumer would: headers, key, value.
func show(m message) string {
	text := func(b []byte) string {
		if b == nil {
			return "NULL"
		}
		return string(b)
	}
	var headers []string
	for _, h := range m.headers {
		headers = append(headers, h.key+"="+text(h.value))
	}
	return strings.Join(headers, ";") + "|" + text(m.key) + "|" + text(m.value)
}

func TestParse(t *testing.T) {
	both := "parse.key=true parse.headers=true"
	for _, c := range []struct{ properties, line, want string }{
		{"", "a\tb", "|NULL|a\tb"},
		{"", "", "|NULL|"},
		{"parse.key=true", "k1\tv1", "|k1|v1"},
		{"parse.key=true", "k2\t", "|k2|"},
		{"parse.key=true", "\tv3", "||v3"},
		{"parse.key=true", "no key here", "No key separator found on line number 7: 'no key here'"},
		{"parse.key=TRUE ignore.error=true", "no key here", "|NULL|no key here"},
		{"parse.key=true key.separator==", "x=y=z", "|x|y=z"},
		{"parse.key=true key.separator=::", "x:y::z", "|x:y|z"},
		{both + " null.marker=NULL", "a:1,b:2\tk\tv", "a=1;b=2|k|v"},
		{both + " null.marker=NULL", "NULL\tk\tNULL", "|k|NULL"},
		{both + " null.marker=NULL", "c:NULL\tNULL\tv", "c=NULL|NULL|v"},
		{both + " null.marker=NULL", "NULL:1\tk\tv", "Header keys should not be equal to the null marker 'NULL' as they can't be null"},
		{"parse.headers=true", "noheader", "No headers delimiter found on line number 7: 'noheader'"},
		{"parse.headers=true ignore.error=true", "noheader", "|NULL|noheader"},
		{"parse.headers=true", "a\tv", "No header key separator found in pair 'a' on line number 7"},
		{"parse.headers=true ignore.error=true", "a,b:\tv", "a=NULL;b=|NULL|v"},
		{"parse.headers=true", "\tv", "No header key separator found in pair '' on line number 7"},
		{"parse.headers=true", "a:1,,\tv", "a=1|NULL|v"},
		{"parse.headers=true", "a:b:c\tv", "a=b:c|NULL|v"},
		{"parse.headers=true headers.separator=[;,]+ headers.delimiter=# headers.key.separator==", "a=1;;,b=2;#v", "a=1;b=2|NULL|v"},
		{"parse.headers=true headers.separator=", "a:1\tv", "No header key separator found in pair 'a' on line number 7"},
	} {
		f, err := newLineFormat(properties(c.properties))
		if err != nil {
			t.Errorf("%s: %v", c.properties, err)
			continue
		}
		m, err := f.parse([]byte(c.line), 7)
		got := show(m)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q with %q: %q, want %q", c.line, c.properties, got, c.want)
		}
	}
}

func TestSeparatorsMustDiffer(t *testing.T) {
	for text, want := range map[string]string{
		"headers.delimiter=,":                "headers.delimiter and headers.separator may not be equal",
		"headers.delimiter=:":                "headers.delimiter and headers.key.separator may not be equal",
		"headers.separator=:":                "headers.separator and headers.key.separator may not be equal",
		"null.marker== key.separator==":      "null.marker and key.separator may not be equal",
		"null.marker=,":                      "null.marker and headers.separator may not be equal",
		"null.marker=- headers.delimiter=-":  "null.marker and headers.delimiter may not be equal",
		"null.marker=:":                      "null.marker and headers.key.separator may not be equal",
		"headers.separator=[ key.separator=": "headers.separator: error parsing regexp: missing closing ]: `[`",
	} {
		if _, err := newLineFormat(properties(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func properties(text string) client.Properties {
	p := client.Properties{}
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		p[key] = value
	}
	return p
}

func FuzzParse(f *testing.F) {
	f.Add("a:1,b:2\tk\tv", ",", "NULL")
	f.Add("a:1;b:2\tk\tv", "[;,]*", "")
	f.Fuzz(func(t *testing.T, line, separator, marker string) {
		for _, ignore := range []string{"true", "false"} {
			format, err := newLineFormat(client.Properties{"parse.key": "true", "parse.headers": "true", "headers.separator": separator,
				"null.marker": marker, "ignore.error": ignore})
			if err != nil {
				continue
			}
			if m, err := format.parse([]byte(line), 1); ignore == "false" && err == nil && !strings.HasSuffix(line, string(m.value)) && m.value != nil {
				t.Errorf("%q: value %q", line, m.value)
			}
		}
	})
}

func run(t *testing.T, args ...string) (stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	app := &cli.App{Reader: strings.NewReader("x\n"), Writer: &out, ErrWriter: &errs, ExitErrHandler: func(*cli.Context, error) {},
		DisableSliceFlagSeparator: true, Commands: []*cli.Command{Command()}}
	code = option.Code(app.Run(append([]string{"kraal", "kafka-console-producer"}, args...)), &errs)
	if out.Len() > 0 {
		t.Errorf("%v: on stdout: %s", args, out.String())
	}
	return errs.String(), code
}

// TestMistakes has the first lines of what kafka-console-producer 3.9.1 printed.
func TestMistakes(t *testing.T) {
	server := []string{"--bootstrap-server", "127.0.0.1:1", "--topic", "lines"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "Missing required option(s) [bootstrap-server]\nOption "},
		{[]string{"--topic", "lines"}, "Missing required option(s) [bootstrap-server]\nOption "},
		{[]string{"--bootstrap-server", "127.0.0.1:1"}, "Missing required argument \"[topic]\"\nOption "},
		{append(server, "--nonsense"), "nonsense is not a recognized option\nOption "},
		{append(server, "--batch-size", "x"), "Cannot parse argument 'x' of option batch-size\n"},
		{[]string{"--broker-list", "127.0.0.1", "--topic", "lines"}, "Please provide valid host:port like host1:9091,host2:9092\n"},
		{append(server, "--compression-codec", "nonsense"), "org.apache.kafka.common.config.ConfigException: Invalid value nonsense for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd\n"},
		{append(server, "--request-required-acks", "7"), "org.apache.kafka.common.config.ConfigException: Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1\n"},
		{append(server, "--producer.config", "missing.properties"), "java.nio.file.NoSuchFileException: missing.properties\n"},
		{append(server, "--property", "headers.delimiter=,"), "org.apache.kafka.common.KafkaException: headers.delimiter and headers.separator may not be equal\n"},
		{append(server, "--property", "parse.key=true"), "org.apache.kafka.common.KafkaException: No key separator found on line number 1: 'x'\n"},
		{append(server, "--line-reader", "my.Reader"), "java.lang.ClassNotFoundException: my.Reader\n"},
	} {
		if got, code := run(t, c.args...); code != 1 || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: exit code %d\n%s", c.args, code, got)
		}
	}
}

func TestUnreachable(t *testing.T) {
	args := []string{"--bootstrap-server", "127.0.0.1:1", "--topic", "lines", "--max-block-ms", "150"}
	got, code := run(t, args...)
	for _, want := range []string{" ERROR Error when sending message to topic lines with key: null, value: 1 bytes with error:",
		"org.apache.kafka.common.errors.TimeoutException: Topic lines not present in metadata after 150 ms."} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	got, code = run(t, append(args, "--sync")...)
	const want = "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.TimeoutException: Topic lines not present in metadata after 150 ms.\n" +
		"Caused by: org.apache.kafka.common.errors.TimeoutException: Topic lines not present in metadata after 150 ms.\n"
	if _, after, _ := strings.Cut(got, "(kraal.produce)\n"); after != want || code != 1 {
		t.Errorf("exit code %d\n%s", code, got)
	}
}

func TestCompressionCodec(t *testing.T) {
	for text, want := range map[string]string{"": "", "--compression-codec": "gzip", "--compression-codec lz4": "lz4", "--compression-codec=zstd": "zstd",
		"--compression-codec --sync": "gzip", "--compression-codec snappy --sync --topic x": "snappy", "--sync --compression-codec none --topic x": "none",
		"ignored --compression-codec lz4": "lz4"} {
		cmd := Command()
		got := "not asked"
		cmd.Action = nil
		inner := option.Tool(&cli.Command{Name: "x", Flags: cmd.Flags[:len(cmd.Flags)-2], Action: func(c *cli.Context) error {
			got, _ = compression(c)
			return nil
		}}, "", option.Message)
		app := &cli.App{ErrWriter: io.Discard, Writer: io.Discard, ExitErrHandler: func(*cli.Context, error) {}, Commands: []*cli.Command{inner}}
		if err := app.Run(append([]string{"kraal", "x", "--batch-size", "1"}, strings.Fields(text)...)); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}
