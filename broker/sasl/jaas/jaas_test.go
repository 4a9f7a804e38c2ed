package jaas

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseModules(t *testing.T) {
	for text, want := range map[string][]Module{
		`x.PlainLoginModule required;`: {{"x.PlainLoginModule", "required", map[string]string{}}},
		"x.PlainLoginModule\n REQUIRED username = \"al\\\"ice\" password='s;e=c' debug=true ;": {
			{"x.PlainLoginModule", "required", map[string]string{"username": `al"ice`, "password": "s;e=c", "debug": "true"}}},
		`/* who */ a.B optional k="v" // and why
			user_bob="p/q" keyTab=/etc/tab; c.D sufficient n=17;`: {
			{"a.B", "optional", map[string]string{"k": "v", "user_bob": "p/q", "keyTab": "/etc/tab"}},
			{"c.D", "sufficient", map[string]string{"n": "17"}}},
		`a required k="\t\101\\\q\0601" empty="";`: {{"a", "required", map[string]string{"k": "\tA\\q01", "empty": ""}}},
		`a required k=";" l="=";`:                  {{"a", "required", map[string]string{"k": ";", "l": "="}}},
	} {
		got, err := ParseModules(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                      "Login module not specified",
		"// nothing":            "Login module not specified",
		";":                     "Login module not specified",
		"x":                     "control flag not specified",
		"x ;":                   "control flag not specified",
		"x maybe;":              "Invalid login module control flag 'maybe'",
		"x required k=v":        "not terminated by semi-colon",
		"x required k=;":        "Value not specified for key 'k'",
		"x required k;":         "Value not specified for key 'k'",
		"x required =v;":        `"=" where a key is due`,
		`x required k="v;`:      "a quote is not closed",
		"x required k='a\nb';":  "a quote is not closed",
		`x required k="v\`:      "a quote is not closed",
		"x required; /* y":      "a comment is not closed",
		"x required k=v; y":     "control flag not specified",
		"Client { x required;}": "control flag not specified",
	} {
		if _, err := ParseModules(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "jaas.conf")
	text := `// of a broker
KafkaServer {
  org.apache.kafka.common.security.scram.ScramLoginModule required
  username="admin"
  password="${secret}";
};
"other.KafkaServer" { x required; y optional; };
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="k"; };
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, "=" + file, "file:" + file, "${dir}/jaas.conf"} {
		f, err := Open(map[string]string{FileProperty: name, "secret": "s3", "dir": filepath.Dir(file)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := f.Section("KafkaServer"); len(s) != 1 || s[0].Class != SCRAM || s[0].Options["password"] != "s3" {
			t.Errorf("%s: KafkaServer is %v", name, s)
		}
		if s := f.Section("other.KafkaServer"); len(s) != 2 {
			t.Errorf("%s: other.KafkaServer is %v", name, s)
		}
		if s := f.Section("Client"); len(s) != 1 || s[0].Class != ZooKeeper || s[0].Options["username"] != "kafka" {
			t.Errorf("%s: Client is %v", name, s)
		}
		if s := f.Section("Server"); s != nil {
			t.Errorf("%s: Server is %v", name, s)
		}
	}
	if f, err := Open(nil); f != nil || err != nil || f.Section("Client") != nil {
		t.Errorf("without a file: %v, %v", f, err)
	}
	if _, err := Open(map[string]string{FileProperty: file}); err == nil || !strings.Contains(err.Error(), "${secret}") {
		t.Errorf("unknown property: %v", err)
	}
	if _, err := Open(map[string]string{FileProperty: file + ".missing"}); err == nil {
		t.Error("a missing file was opened")
	}
	for _, bad := range []string{"Client", "Client x required;", "Client { x required;", "Client { x required; }", "Client { };", "{ x required; };",
		"Client { x required; }; Client { x required; };", "Client { x required }; "} {
		if _, err := Parse(bad, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`Client { x required username="u\101" password='p' debug=true; };`)
	f.Add("/* */ // \n a { b optional k=v; c required; };")
	f.Add(`a b k="\`)
	f.Fuzz(func(_ *testing.T, text string) {
		Parse(text, map[string]string{"a": "b"})
		ParseModules(text)
	})
}

func TestZooKeeperLogin(t *testing.T) {
	const kafka = `org.apache.zookeeper.server.auth.DigestLoginModule required username="kafka" password="k";`
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "jaas.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	both := file("Client { " + kafka + "}; Zk { " + strings.ReplaceAll(kafka, "kafka", "zk") + "};")
	for _, c := range []struct {
		text   string
		system map[string]string
		want   *Digest
		refuse string
	}{
		{},
		{text: kafka, want: &Digest{"kafka", "k"}},
		{system: map[string]string{FileProperty: both}, want: &Digest{"kafka", "k"}},
		{system: map[string]string{FileProperty: both, "zookeeper.sasl.client": "TRUE"}, want: &Digest{"kafka", "k"}},
		{system: map[string]string{FileProperty: both, "zookeeper.sasl.clientconfig": "Zk"}, want: &Digest{"zk", "k"}},
		{system: map[string]string{FileProperty: both, "zookeeper.sasl.clientconfig": "None"}},
		{system: map[string]string{FileProperty: file("KafkaServer { x required; };")}},
		{system: map[string]string{FileProperty: both, "zookeeper.sasl.client": "false"}, refuse: "has a section Client, but zookeeper.sasl.client=false"},
		{system: map[string]string{FileProperty: file("Client { " + Kerberos + " required; };")}, refuse: "Kerberos"},
		{system: map[string]string{FileProperty: file("Client { " + kafka + kafka + " };")}, refuse: "one login module"},
		{text: ZooKeeper + " required username=kafka;", refuse: "needs username and password"},
		{text: Plain + " required username=kafka password=k;", refuse: "not with " + Plain},
		{text: "kafka:k", refuse: "control flag"},
	} {
		got, err := ZooKeeperLogin(c.text, c.system)
		if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.refuse != "") || err != nil && !strings.Contains(err.Error(), c.refuse) {
			t.Errorf("%q %v: %v, %v, want %v %s", c.text, c.system, got, err, c.want, c.refuse)
		}
	}
}

func TestSystemProperties(t *testing.T) {
	got := SystemProperties(" -Xmx1g -Da=1 -Db.c==d=e\t-Df -javaagent:x=-Dy=z -Da=2 ")
	if want := map[string]string{"a": "2", "b.c": "=d=e", "f": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
