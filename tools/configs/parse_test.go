package configs

import (
	"maps"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

func TestParsePairs(t *testing.T) {
	for text, want := range map[string]map[string]string{
		"a=b":                   {"a": "b"},
		" a = b , c = d ":       {"a": "b", "c": "d"},
		"a=[b,c],d=e":           {"a": "b,c", "d": "e"},
		"a=,b=":                 {"a": "", "b": ""},
		"a=[],b=c":              {"a": "", "b": "c"},
		"a=b,":                  {"a": "b"},
		"S=[i=1,p=x],T=[p=y=z]": {"S": "i=1,p=x", "T": "p=y=z"},
		"l=[X://h:1,Y://h:2]":   {"l": "X://h:1,Y://h:2"},
	} {
		if got, err := parsePairs(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "a", "a=b,c", "a=b=c", "a=b,,c=d", ",", "a=[b,[c],d=e"} {
		if got, err := parsePairs(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func FuzzParsePairs(f *testing.F) {
	f.Add("k1=v1,k2=[v1,v2,v2],k3=v3")
	f.Fuzz(func(_ *testing.T, text string) { parsePairs(text) })
}

func TestParseCredential(t *testing.T) {
	for text, want := range map[string]struct {
		iterations int32
		password   string
	}{
		"password=a":                    {4096, "a"},
		"iterations=8192,password=a,b=": {8192, "a,b="},
		"iterations=-1,password=":       {4096, ""},
		"iterations=,password=a":        {4096, "a"},
	} {
		iterations, password, err := parseCredential("SCRAM-SHA-256", text)
		if err != nil || iterations != want.iterations || password != want.password {
			t.Errorf("%q: %d %q %v", text, iterations, password, err)
		}
	}
	for text, want := range map[string]string{
		"":                                    "Invalid credential property SCRAM_SHA_256=",
		"iterations=1":                        "Invalid credential property SCRAM_SHA_256=iterations=1",
		"iterations=100,password=a":           "Iterations 100 is less than the minimum 4096 required for SCRAM-SHA-256",
		"iterations=99999999999,password=a":   `For input string: "99999999999"`,
		"salt=x,iterations=4096,password=abc": "Invalid credential property SCRAM_SHA_256=salt=x,iterations=4096,password=abc",
	} {
		if _, _, err := parseCredential("SCRAM-SHA-256", text); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTitle(t *testing.T) {
	for want, e := range map[string]meta.Entity{
		"user-principal 'a b'":   nodeOf(users, "a b"),
		"default user-principal": nodeOf(users, ""),
		"brokers '1'":            nodeOf(brokers, "1"),
		"default brokers":        nodeOf(brokers, ""),
	} {
		if got := title(e); got != want {
			t.Errorf("%v: %s, want %s", e, got, want)
		}
	}
}
