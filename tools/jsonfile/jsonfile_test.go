package jsonfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kraal-mq/kraal/tools/client"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(file); err != nil || string(text) != "{}" {
		t.Errorf("%q, %v", text, err)
	}
	missing := filepath.Join(dir, "missing.json")
	_, err := Read(missing)
	want := "java.io.IOException: Unable to read file " + missing + "\nCaused by: java.nio.file.NoSuchFileException: " + missing
	if err == nil || client.Trace(err) != want {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Read(dir); err == nil || err.Error() != "Unable to read file "+dir {
		t.Errorf("directory: %v", err)
	}
}

const redacted = "\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: "

// The sentences are those of Apache Kafka 3.9.1's tools.
func TestParseErrors(t *testing.T) {
	const expecting = "': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')" + redacted
	for text, want := range map[string]string{
		"":                           "The input string shouldn't be empty",
		"nonsense":                   "Unrecognized token 'nonsense" + expecting + "1, column: 9]",
		"{\"partitions\":\n [tru] }": "Unrecognized token 'tru" + expecting + "2, column: 6]",
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"{", "[1,", `{"a":}`, "\x00", "{'a':1}"} {
		if v, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, v)
		}
	}
}

func parse(t *testing.T, text string) Value {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestValues(t *testing.T) {
	o, err := parse(t, `{"text":"a<b","int":2147483647,"long":-9223372036854775808,"ints":[1,2],"texts":["any","/x"],"int":3} ignored`).Object()
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) Value {
		t.Helper()
		v, err := o.Field(name)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if text, err := field("text").Text(); err != nil || text != "a<b" {
		t.Errorf("%q, %v", text, err)
	}
	if n, err := field("int").Int(); err != nil || n != 3 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := field("long").Long(); err != nil || n != -1<<63 {
		t.Errorf("%d, %v", n, err)
	}
	if ints, err := field("ints").Ints(); err != nil || !slices.Equal(ints, []int32{1, 2}) {
		t.Errorf("%v, %v", ints, err)
	}
	if texts, err := field("texts").Texts(); err != nil || !slices.Equal(texts, []string{"any", "/x"}) {
		t.Errorf("%v, %v", texts, err)
	}
	if array, err := field("ints").Array(); err != nil || len(array) != 2 || array[1].String() != "2" {
		t.Errorf("%v, %v", array, err)
	}
	if _, ok := o.Get("missing"); ok {
		t.Error("a field that is not there is")
	}
}

func TestMismatches(t *testing.T) {
	for _, c := range []struct {
		text string
		read func(Value) error
		want string
	}{
		{`[1]`, func(v Value) error { _, err := v.Object(); return err }, "Expected JSON object, received [1]"},
		{`{"a":"<"}`, func(v Value) error { _, err := v.Array(); return err }, `Expected JSON array, received {"a":"<"}`},
		{`{}`, func(v Value) error { o, _ := v.Object(); _, err := o.Field("topic"); return err }, "No such field exists: `topic`"},
		{`1`, func(v Value) error { _, err := v.Text(); return err }, "Expected `String` value, received 1"},
		{`"1"`, func(v Value) error { _, err := v.Int(); return err }, "Expected `Integer` value, received \"1\""},
		{`2147483648`, func(v Value) error { _, err := v.Int(); return err }, "Expected `Integer` value, received 2147483648"},
		{`1.5`, func(v Value) error { _, err := v.Long(); return err }, "Expected `Long` value, received 1.5"},
		{`1e400`, func(v Value) error { _, err := v.Long(); return err }, "Expected `Long` value, received 1e400"},
		{`{}`, func(v Value) error { _, err := v.Ints(); return err }, "Expected `JSON array` value, received {}"},
		{`[1,"a"]`, func(v Value) error { _, err := v.Ints(); return err }, "Expected `Integer` value, received \"a\""},
		{`{"version":2}`, func(v Value) error { o, _ := v.Object(); return o.Version() }, "Not supported version field value 2"},
		{`{"version":"1"}`, func(v Value) error { o, _ := v.Object(); return o.Version() }, "Expected `Integer` value, received \"1\""},
	} {
		if err := c.read(parse(t, c.text)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
	for _, text := range []string{`{}`, `{"version":1}`} {
		if o, _ := parse(t, text).Object(); o.Version() != nil {
			t.Errorf("%s: %v", text, o.Version())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"partitions":[{"topic":"a","partition":0,"replicas":[1]}]}`))
	f.Add([]byte("nonsense"))
	f.Add([]byte("\n[tr\xffue"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if v, err := Parse(text); err == nil {
			_ = v.String()
		} else if err.Error() == "" {
			t.Errorf("%q: an error without a word", text)
		}
	})
}
