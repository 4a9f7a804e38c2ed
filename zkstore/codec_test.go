package zkstore

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// recode decodes what is found at a path and encodes it again. known is false for structure that has no data.
func recode(at string, data []byte) (again []byte, known bool, err error) {
	dir, name := path.Split(at)
	switch {
	case strings.HasPrefix(at, brokersPath+"/"):
		id, _ := strconv.Atoi(name)
		r, err := decodeBroker(meta.BrokerID(id), data)
		// Formats before 4 have no room for listeners that are not named after their protocol.
		fits := r.Version >= 4 || !slices.ContainsFunc(r.Endpoints, func(e meta.Endpoint) bool { return e.Listener != e.Protocol })
		return encodeBroker(r), fits, err
	case at == controllerPath:
		c, err := decodeController(data)
		return encodeController(c.ID, c.Timestamp), true, err
	case at == controllerEpochPath:
		n, err := strconv.Atoi(string(data))
		return strconv.AppendInt(nil, int64(n), 10), true, err
	case at == clusterIDPath:
		id, err := decodeClusterID(data)
		return encodeClusterID(id), true, err
	case at == featurePath:
		f, err := decodeFeature(data)
		return encodeFeature(f), true, err
	case at == producerIDsPath:
		p, err := decodeProducerIDBlock(data)
		return encodeProducerIDBlock(p), true, err
	case at == reassignmentsPath:
		rs, err := decodeReassignments(data)
		return encodeReassignments(rs), true, err
	case at == preferredElectionPath, strings.HasPrefix(at, isrChangesPath+"/"):
		tps, err := decodePartitionList(data)
		return encodePartitionList(tps), true, err
	case strings.HasPrefix(at, logDirEventsPath+"/"):
		b, err := decodeLogDirEvent(data)
		return encodeLogDirEvent(b), true, err
	case dir == topicsPath+"/":
		a, err := decodeTopic(data)
		return encodeTopic(a), true, err
	case strings.HasPrefix(at, topicsPath+"/") && name == "state":
		s, err := decodePartitionState(data)
		return encodePartitionState(s), true, err
	case strings.HasPrefix(at, configChangesPath+"/"):
		e, err := decodeConfigChange(data)
		return encodeConfigChange(e), true, err
	case strings.HasPrefix(at, configPath+"/"):
		c, err := decodeConfig(data)
		return encodeConfig(c), true, err
	case strings.HasPrefix(at, tokensPath+"/"):
		t, err := decodeToken(data)
		return encodeToken(t), true, err
	case strings.HasPrefix(at, tokenChangesPath+"/"):
		return data, true, nil
	case strings.HasPrefix(at, literalACLChanges+"/"):
		r, err := decodeLiteralACLChange(data)
		return encodeLiteralACLChange(r), true, err
	case strings.HasPrefix(at, extendedACLChanges+"/"):
		r, err := decodeExtendedACLChange(data)
		return encodeExtendedACLChange(r), true, err
	case strings.HasPrefix(at, literalACLPath+"/"), strings.HasPrefix(at, prefixedACLPath+"/"):
		a, err := decodeACLs(data)
		return encodeACLs(a), true, err
	case strings.HasPrefix(at, consumersPath+"/"):
		n, _, err := decodeOffset(data)
		return strconv.AppendInt(nil, n, 10), true, err
	}
	return nil, false, nil
}

type goldenZnode struct {
	Path string
	Data *string
}

func goldenZnodes(t testing.TB) (zs []goldenZnode) {
	f, err := os.Open("testdata/znodes.jsonl")
	must(t, err)
	defer f.Close()
	for d := json.NewDecoder(f); d.More(); {
		var z goldenZnode
		must(t, d.Decode(&z))
		zs = append(zs, z)
	}
	return zs
}

// TestGoldenZnodes: everything Apache Kafka 3.9.1 wrote decodes, and encodes to the same bytes.
func TestGoldenZnodes(t *testing.T) {
	reordered := 0
	for _, z := range goldenZnodes(t) {
		if z.Data == nil || *z.Data == "" {
			continue
		}
		again, known, err := recode(z.Path, []byte(*z.Data))
		switch {
		case !known:
			t.Errorf("%s: %q is written by Kafka and not known here", z.Path, *z.Data)
		case err != nil:
			t.Errorf("%s: %v", z.Path, err)
		case string(again) == *z.Data:
		case strings.HasPrefix(z.Path, "/config/brokers/") && sameJSON(t, again, []byte(*z.Data)):
			reordered++ // keys in one slot, or a table that had grown on the way: see javaOrder
		default:
			t.Errorf("%s:\n got %s\nwant %s", z.Path, again, *z.Data)
		}
	}
	if reordered > 4 {
		t.Errorf("%d broker configs have their keys in another order", reordered)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	var x, y any
	must(t, json.Unmarshal(a, &x))
	must(t, json.Unmarshal(b, &y))
	return reflect.DeepEqual(x, y)
}

func TestDecodeTopic(t *testing.T) {
	for _, c := range []struct {
		text string
		want meta.TopicAssignment
		ok   bool
	}{
		{`{"version":1,"partitions":{"0":[1,2]}}`, meta.TopicAssignment{Partitions: map[int32]meta.Assignment{0: {Replicas: []meta.BrokerID{1, 2}}}}, true},
		{`{"partitions":{"3":[4,1]},"adding_replicas":{"3":[4]},"removing_replicas":{"3":[1]},"version":3,"new":true} trailing`,
			meta.TopicAssignment{Partitions: map[int32]meta.Assignment{3: {Replicas: []meta.BrokerID{4, 1}, Adding: []meta.BrokerID{4}, Removing: []meta.BrokerID{1}}}}, true},
		{`{"version":3}`, meta.TopicAssignment{Partitions: map[int32]meta.Assignment{}}, true},
		{`{"partitions":{"x":[1]}}`, meta.TopicAssignment{}, false},
		{`{"partitions":{"0":[1.0]}}`, meta.TopicAssignment{}, false},
		{`{"partitions":{"0":["1"]}}`, meta.TopicAssignment{}, false},
		{`{"partitions":{"0":[1]},"topic_id":"short"}`, meta.TopicAssignment{}, false},
		{`[]`, meta.TopicAssignment{}, false},
		{`null`, meta.TopicAssignment{}, false},
		{``, meta.TopicAssignment{}, false},
	} {
		got, err := decodeTopic([]byte(c.text))
		if (err == nil) != c.ok || c.ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

// Registrations of all versions, and what makes one unreadable (Kafka's BrokerIdZNode).
func TestDecodeBroker(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // the endpoints; empty: unreadable
	}{
		{`{"version":1,"host":"b1","port":9092,"jmx_port":9999,"timestamp":"1"}`, "PLAINTEXT PLAINTEXT://b1:9092"},
		{`{"version":2,"host":"b1","port":9092,"jmx_port":-1,"timestamp":"1","endpoints":["PLAINTEXT://b1:9092","ssl://[::1]:9093"]}`, "PLAINTEXT PLAINTEXT://b1:9092 SSL SSL://[::1]:9093"},
		{`{"version":4,"jmx_port":-1,"endpoints":["IN://:9"],"listener_security_protocol_map":{"IN":"SASL_SSL"}}`, "SASL_SSL IN://:9"},
		{`{"version":4,"jmx_port":-1,"endpoints":["OUT://h:9"],"listener_security_protocol_map":{"IN":"SASL_SSL"}}`, ""},
		{`{"version":4,"jmx_port":-1,"endpoints":["A://h:9","a://h:10"],"listener_security_protocol_map":{"A":"SSL"}}`, ""},
		{`{"version":5,"endpoints":["SSL://h:9"]}`, ""},
		{`{"version":5,"jmx_port":-1,"endpoints":["SSL://h"]}`, ""},
		{`{"version":5,"jmx_port":-1,"endpoints":["SSL://h:99999999999"]}`, ""},
		{`{"version":0,"jmx_port":-1,"endpoints":[]}`, ""},
		{`{"version":5,"jmx_port":"-1","endpoints":[]}`, ""},
		{`{"Version":5,"jmx_port":-1,"endpoints":[]}`, ""},
	} {
		r, err := decodeBroker(1, []byte(c.text))
		var got []string
		for _, e := range r.Endpoints {
			got = append(got, e.Protocol, endpointText(e))
		}
		if (err == nil) != (c.want != "") || err == nil && strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v", c.text, got, err)
		}
	}
}

func TestEncodeBrokerWithoutPlaintext(t *testing.T) {
	r := BrokerRegistration{Endpoints: []meta.Endpoint{{Listener: "A", Protocol: "SSL", Host: "::1", Port: 1}}, JMXPort: -1, Version: 4}
	want := `{"listener_security_protocol_map":{"A":"SSL"},"endpoints":["A://[::1]:1"],"jmx_port":-1,"port":-1,"host":null,"version":4,"timestamp":"-62135596800000"}`
	if got := string(encodeBroker(r)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestStrings(t *testing.T) {
	got := string(appendString(nil, "a\"\\/<é\u2028\x01\x1f\b\f\n\r\t\x7f"))
	want := `"a\"\\/<é` + "\u2028" + `\u0001\u001F\b\f\n\r\t` + "\x7f\""
	if got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestConfigsWithoutOverrides(t *testing.T) {
	for _, data := range [][]byte{nil, {}, []byte(`{}`), []byte(`{"version":1}`), []byte(`{"version":1,"config":null}`)} {
		if c, err := decodeConfig(data); err != nil || len(c) != 0 || c == nil {
			t.Errorf("%q: %v, %v", data, c, err)
		}
	}
}

func TestSCRAMCredential(t *testing.T) {
	const text = "salt=c2FsdC1vZi1jYXJvbC0wMTIzNDU2Nzg5,stored_key=dAlNXOzTXX6Pgv0qKHbUvyMRU3d5ijwyrHbb8+LmN9w=,server_key=0HJMB0Wgh9hM75zcU5/zxHzPvCSSe1qqfEAIdBdMEHs=,iterations=4096"
	c, err := ParseSCRAMCredential(text)
	must(t, err)
	if c.String() != text || string(c.Salt) != "salt-of-carol-0123456789" || c.Iterations != 4096 {
		t.Errorf("%q of %+v", c, c)
	}
	for _, bad := range []string{"", "salt=", "salt=!,stored_key=,server_key=,iterations=1", "salt=,stored_key=,server_key=,iterations=x", "salt=,stored_key=,server_key=,x=1", text + ",more=1"} {
		if _, err := ParseSCRAMCredential(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestUnreadableNamesThePath(t *testing.T) {
	_, err := brokerOf(7, znode{data: []byte("{")})
	var u *UnreadableError
	if !errors.As(err, &u) || u.Path != "/brokers/ids/7" {
		t.Error(err)
	}
}

// FuzzZnodes: whatever is in a znode, decoding returns, and what it accepts can be encoded and read back the same.
func FuzzZnodes(f *testing.F) {
	for _, z := range goldenZnodes(f) {
		if z.Data != nil {
			f.Add(z.Path, []byte(*z.Data))
		}
	}
	f.Add(migrationPath, []byte(`{"version":0,"kraft_controller_id":3000,"kraft_controller_epoch":7,"kraft_metadata_offset":1234,"kraft_metadata_epoch":7}`))
	f.Fuzz(func(t *testing.T, at string, data []byte) {
		decodeMigration(data)
		ParseSCRAMCredential(string(data))
		once, known, err := recode(at, data)
		if !known || err != nil {
			return
		}
		twice, _, err := recode(at, once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s: %q became %q, then %q, %v", at, data, once, twice, err)
		}
	})
}

func FuzzMultiRead(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0x9b, 0xff, 0xff, 0xff, 0x9b, 0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff}, 1)
	f.Fuzz(func(t *testing.T, reply []byte, n int) {
		paths := make([]string, max(0, min(n, 200)))
		if rs, err := decodeMultiRead(reply, paths); err == nil && len(rs) != len(paths) {
			t.Errorf("%d readings of %d", len(rs), len(paths))
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`realm="zk-sasl-md5",nonce="x\"y",charset=utf-8,algorithm=md5-sess,qop="auth"`)
	f.Fuzz(func(t *testing.T, challenge string) {
		digestMD5(&SASL{Username: "u", Password: "p"}, saslService, challenge, "cnonce")
	})
}
