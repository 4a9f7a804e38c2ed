package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testdata/properties holds files and, as JSON lines, what java.util.Properties makes of them.
func TestPropertiesAgainstJava(t *testing.T) {
	names, err := filepath.Glob("testdata/properties/*.properties")
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(strings.TrimSuffix(name, ".properties") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		props, err := ParseProperties(bytes.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var lines []string
		for k, v := range props {
			lines = append(lines, strconv.QuoteToASCII(k)+":"+strconv.QuoteToASCII(v))
		}
		slices.Sort(lines)
		var wanted []string
		for _, l := range strings.Split(strings.TrimSpace(string(want)), "\n") {
			k, v, _ := strings.Cut(l, `":"`)
			k, err1 := strconv.Unquote(k + `"`)
			v, err2 := strconv.Unquote(`"` + v)
			if err1 != nil || err2 != nil {
				t.Fatal(l, err1, err2)
			}
			wanted = append(wanted, strconv.QuoteToASCII(k)+":"+strconv.QuoteToASCII(v))
		}
		slices.Sort(wanted)
		if !slices.Equal(lines, wanted) {
			t.Errorf("%s\ngot  %s\nwant %s", name, strings.Join(lines, "\n     "), strings.Join(wanted, "\n     "))
		}
	}
}

func TestOverrides(t *testing.T) {
	overrides := map[string]string{}
	for _, arg := range []string{"broker.id=7", "listeners=PLAINTEXT://:1", "super.users=User:CN=a", "broker.rack="} {
		k, v, err := ParseOverride(arg)
		if err != nil {
			t.Fatal(err)
		}
		overrides[k] = v
	}
	s, _, err := Load(strings.NewReader("zookeeper.connect=z\nbroker.id=1\nbroker.rack=r\n"), overrides)
	if err != nil {
		t.Fatal(err)
	}
	if s.Broker.ID != 7 || s.Listeners[0].Port != 1 || !slices.Equal(s.Auth.SuperUsers, []string{"User:CN=a"}) || s.Broker.Rack != "" {
		t.Errorf("%+v", s.Config)
	}
	for _, bad := range []string{"", "=1", "key", " =x"} {
		if _, _, err := ParseOverride(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestPropertiesLimit(t *testing.T) {
	if _, err := ParseProperties(strings.NewReader(strings.Repeat("#", maxFile+1))); err == nil {
		t.Error("a file of any size passes")
	}
	if _, _, err := Load(strings.NewReader(`a=\u12x`), nil); err == nil {
		t.Error("a broken escape passes")
	}
}

func TestProviders(t *testing.T) {
	dir := t.TempDir()
	secrets := filepath.Join(dir, "secrets.properties")
	if err := os.WriteFile(secrets, []byte("key=from file\nname=caf\u00e9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rack"), []byte("r1"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KRAAL_TEST_ZK", "zk:2181")
	const p = "org.apache.kafka.common.config.provider."
	props := map[string]string{
		"config.providers": "file, dir,env", "config.providers.file.class": p + "FileConfigProvider",
		"config.providers.dir.class": p + "DirectoryConfigProvider", "config.providers.env.class": p + "EnvVarConfigProvider",
		"config.providers.env.param.allowlist.pattern": "KRAAL_.*",
		"delegation.token.secret.key":                  "<${file:" + secrets + ":key}>",
		"broker.rack":                                  "${dir:" + dir + ":rack}",
		"zookeeper.connect":                            "${env:KRAAL_TEST_ZK}/${env:HOME}",
		"sasl.kerberos.service.name":                   "${file:" + secrets + ":name}",
		"ssl.provider":                                 "${other:x} ${file:" + secrets + ":missing} ${dir:" + dir + ":../rack}",
	}
	s, _, err := FromMap(props)
	if err != nil {
		t.Fatal(err)
	}
	if s.Tokens.SecretKey != "<from file>" || s.Broker.Rack != "r1" || s.ZooKeeper.Connect != "zk:2181/${env:HOME}" || s.base.SASL.Kerberos.ServiceName != "caf\u00e9" {
		t.Errorf("%q %q %q %q", s.Tokens.SecretKey, s.Broker.Rack, s.ZooKeeper.Connect, s.base.SASL.Kerberos.ServiceName)
	}
	if s.Config.text("ssl.provider") != props["ssl.provider"] {
		t.Errorf("%q", s.Config.text("ssl.provider"))
	}

	props["config.providers.file.param.allowed.paths"] = "/nowhere," + dir + "-not"
	if s, _, err = FromMap(props); err != nil || s.Tokens.SecretKey != "<${file:"+secrets+":key}>" {
		t.Errorf("%v %+v", err, s)
	}
	props["config.providers.file.param.allowed.paths"] = dir
	if s, _, err = FromMap(props); err != nil || s.Tokens.SecretKey != "<from file>" {
		t.Errorf("%v %+v", err, s)
	}
	for key, value := range map[string]string{
		"config.providers.file.class":                  "com.example.Vault",
		"config.providers.env.param.allowlist.pattern": "(",
		"broker.rack":                "${env:some/path:KEY}",
		"sasl.kerberos.service.name": "${file:" + dir + "/gone:key}",
	} {
		bad := map[string]string{}
		for k, v := range props {
			bad[k] = v
		}
		bad[key] = value
		if _, _, err := FromMap(bad); err == nil {
			t.Errorf("%s=%s passes", key, value)
		}
	}
}

// Whatever the file says, reading it neither panics nor hangs; what can be read can be judged.
func FuzzLoad(f *testing.F) {
	f.Add("zookeeper.connect=z\nlisteners=A://[::1]:1,B://h:2\nlistener.security.protocol.map=A:SSL,B:PLAINTEXT\ninter.broker.listener.name=b")
	f.Add("a\\\n b = \\u0041\r\n!x\nlog.retention.hours=-1\nmax.connections.per.ip.overrides=::1:3,h:")
	f.Add("listener.name..=1\nlistener.name.x.=2\nlistener.name.x.y.sasl.jaas.config=3\nauthorizer.zookeeper.=1")
	f.Add("config.providers=a\nconfig.providers.a.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\nbroker.rack=${a:${a:b}}")
	f.Add("sasl.enabled.mechanisms=,,\nlog.cleaner.threads=0\nlog.cleaner.io.buffer.load.factor=0x1p-1d")
	f.Fuzz(func(t *testing.T, text string) {
		s, _, err := Load(strings.NewReader(text), nil)
		if err != nil {
			_ = err.Error()
			return
		}
		if len(s.Listeners) == 0 || len(s.Log.Dirs) == 0 || s.ZooKeeper.Connect == "" {
			t.Errorf("loaded %q", text)
		}
	})
}
