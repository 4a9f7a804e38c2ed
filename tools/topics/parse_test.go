package topics

import (
	"reflect"
	"strings"
	"testing"

	"github.com/IBM/sarama"
)

func TestParseAssignment(t *testing.T) {
	got, err := parseAssignment("0:1:2,1: 2:0")
	if want := [][]int32{{0, 1, 2}, {1, 2, 0}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for text, want := range map[string]string{
		"1:1":     "Partition replica lists may not contain duplicate entries: 1",
		"1:2:1:2": "Partition replica lists may not contain duplicate entries: 1,2",
		"0:1,2":   "Partition 1 has different replication factor: [2]",
		"1:2,3:x": `For input string: "x"`,
		"1,":      `For input string: ""`,
	} {
		if _, err := parseAssignment(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseAssignment(f *testing.F) {
	f.Add("0:1:2,1:2:0")
	f.Fuzz(func(t *testing.T, text string) {
		lists, err := parseAssignment(text)
		for _, l := range lists {
			if err == nil && len(l) != len(lists[0]) {
				t.Errorf("%q: %v", text, lists)
			}
		}
	})
}

func TestParseConfigs(t *testing.T) {
	got, err := parseConfigs([]string{" a = b ", "c=d,e", "f=g="})
	if err != nil || *got["a"] != "b" || *got["c"] != "d,e" || *got["f"] != "g" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"a", "a=", "a=b=c", "", "="} {
		if _, err := parseConfigs([]string{bad}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestParseTopicID(t *testing.T) {
	id, err := parseTopicID("jy97PMmgTqe9vmNSMrzWNg")
	if err != nil || id.String() != "jy97PMmgTqe9vmNSMrzWNg" {
		t.Errorf("%s, %v", id, err)
	}
	if id, err := parseTopicID(""); err != nil || id != (sarama.Uuid{}) {
		t.Errorf("%s, %v", id, err)
	}
	for _, bad := range []string{"nonsense", "*", strings.Repeat("A", 25), strings.Repeat("A", 23)} {
		if _, err := parseTopicID(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestValidateName(t *testing.T) {
	for _, good := range []string{"a", "a.b_c-D9", "...", strings.Repeat("a", 249)} {
		if err := validateName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "a b", "ä", strings.Repeat("a", 250)} {
		if validateName(bad) == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
