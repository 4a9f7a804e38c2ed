package config

import (
	"bufio"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Every key of Apache Kafka 3.9.1 is there, with its type, default, validator, scope and importance.
func TestKeysAgainstKafka(t *testing.T) {
	f, err := os.Open("testdata/keys.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		c := strings.Split(lines.Text(), "\t")
		kind, name := c[0], c[1]
		seen[kind]++
		k, ok := map[string]*table{"broker": brokerTable(), "topic": topicTable()}[kind].lookup(name)
		if !ok {
			t.Errorf("%s key %s is missing", kind, name)
			continue
		}
		def := "unset"
		if k.Default != nil {
			def = "=" + format(k.Default)
		}
		valid := ""
		if k.valid != nil {
			valid = k.valid.String()
		}
		if c[4] == "non-empty list" || strings.HasPrefix(c[4], "The default value of -1") {
			c[4] = "" // KRaft and tiered storage keys whose validators judge the unused
		}
		scope := map[Scope]string{ReadOnly: "RO", ClusterWide: "CW", PerBrokerOnly: "PB", PerListener: "PB*"}[k.Scope]
		if kind == "topic" {
			scope = ""
		}
		internal := ""
		if k.Internal {
			internal = "internal"
		}
		got := []string{kind, k.Name, strings.ToLower(k.Type.String()), def, valid, scope,
			map[Status]string{Core: "CORE", Full: "FULL", NoEffect: "N/A"}[k.Status], internal,
			map[Importance]string{High: "high", Medium: "medium", Low: "low"}[k.Importance]}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("\ngot  %q\nwant %q", got, c)
		}
		if !strings.HasSuffix(k.Doc, ".") || strings.ContainsAny(k.Doc, "`\n") {
			t.Errorf("%s: documentation %q", name, k.Doc)
		}
		if k.valid != nil && k.Default != nil {
			if reason, _ := k.valid.check(name, k.Default); reason != "" {
				t.Errorf("%s: the default is refused: %s", name, reason)
			}
		}
	}
	if seen["broker"] != 328 || len(BrokerKeys()) != 328+len(keysKraal()) || seen["topic"] != 36 || len(TopicKeys()) != 36 {
		t.Errorf("%v keys listed; %d broker and %d topic keys defined", seen, len(BrokerKeys()), len(TopicKeys()))
	}
}

// derived are the keys that reach a struct without a tag.
var derived = strings.Fields(`
	broker.id node.id zookeeper.connection.timeout.ms
	listeners advertised.listeners listener.security.protocol.map inter.broker.listener.name security.inter.broker.protocol
	log.dir log.dirs max.connections.per.ip.overrides
	log.message.timestamp.before.max.ms log.message.timestamp.after.max.ms log.message.timestamp.difference.max.ms
	cleanup.policy message.timestamp.before.max.ms message.timestamp.after.max.ms message.timestamp.difference.max.ms`)

// What has an effect is in a struct, and no tag names a key that does not exist.
func TestKeysReachStructs(t *testing.T) {
	reached := map[string]bool{}
	for _, k := range derived {
		reached[k] = true
	}
	var walk func(reflect.Type, *table)
	walk = func(s reflect.Type, keys *table) {
		for i := range s.NumField() {
			f := s.Field(i)
			if !f.IsExported() {
				continue
			}
			key, tagged := f.Tag.Lookup("key")
			switch {
			case tagged:
				k, ok := keys.lookup(key)
				if !ok {
					t.Errorf("%s.%s: no key %q", s, f.Name, key)
				}
				reached[key] = true
				checkFieldType(t, f, k)
			case f.Type == reflect.TypeFor[TopicConfig]():
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, keys)
			}
		}
	}
	walk(reflect.TypeFor[Config](), brokerTable())
	walk(reflect.TypeFor[ListenerConfig](), brokerTable())
	walk(reflect.TypeFor[TopicConfig](), topicTable())
	for _, k := range TopicKeys() {
		for _, b := range k.Broker {
			if _, ok := brokerTable().lookup(b); !ok {
				t.Errorf("%s: no broker key %s", k.Name, b)
			}
			reached[b] = true
		}
		if k.Status == Core && !reached[k.Name] {
			t.Errorf("topic key %s reaches no struct", k.Name)
		}
	}
	for _, k := range BrokerKeys() {
		if k.Status == Core && !reached[k.Name] {
			t.Errorf("broker key %s reaches no struct", k.Name)
		}
	}
}

func checkFieldType(t *testing.T, f reflect.StructField, k Key) {
	want := map[Type]reflect.Kind{Boolean: reflect.Bool, String: reflect.String, Class: reflect.String, Password: reflect.String,
		Int: reflect.Int32, Short: reflect.Int16, Long: reflect.Int64, Double: reflect.Float64, List: reflect.Slice}[k.Type]
	if f.Type != reflect.TypeFor[time.Duration]() && f.Type.Kind() != want {
		t.Errorf("field %s is a %s, key %s a %s", f.Name, f.Type, k.Name, k.Type)
	}
}
