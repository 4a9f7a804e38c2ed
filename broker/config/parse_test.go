package config

import (
	"math"
	"strings"
	"testing"
)

// Texts are those of Java's Double.toString.
func TestFormatDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", 0.5: "0.5", 0.001: "0.001", 0.0001: "1.0E-4", 9999999: "9999999.0", 10000000: "1.0E7", 12345678.5: "1.23456785E7",
		-0.25: "-0.25", math.MaxFloat64: "1.7976931348623157E308", 1048576: "1048576.0", 10485760: "1.048576E7",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", math.Copysign(0, -1): "-0.0",
	} {
		if got := formatDouble(f); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

func TestParseType(t *testing.T) {
	for _, c := range []struct {
		typ  Type
		text string
		want string // canonical text, or the reason after "!"
	}{
		{Boolean, " TRUE ", "true"}, {Boolean, "1", "!Expected value to be either true or false"},
		{Int, " +5\t", "5"}, {Int, "2147483648", "!Not a number of type INT"}, {Int, "", "!Not a number of type INT"}, {Int, "1_000", "!Not a number of type INT"}, {Int, "0x10", "!Not a number of type INT"},
		{Short, "-32768", "-32768"}, {Short, "32768", "!Not a number of type SHORT"},
		{Long, "9223372036854775807", "9223372036854775807"}, {Long, "1.5", "!Not a number of type LONG"},
		{Double, "1e400", "Infinity"}, {Double, "2d", "2.0"}, {Double, " .5f ", "0.5"}, {Double, "NaN", "!Not a number of type DOUBLE"}, {Double, "d", "!Not a number of type DOUBLE"},
		{List, "", ""}, {List, " a , b,, c ", "a,b,,c"},
		{String, "  x y ", "x y"}, {Class, " a.B ", "a.B"}, {Password, " p ", "p"},
	} {
		v, reason := parseType(c.typ, c.text)
		got := format(v)
		if reason != "" {
			got = "!" + reason
		}
		if got != c.want {
			t.Errorf("%s %q: %q, want %q", c.typ, c.text, got, c.want)
		}
	}
	if v, _ := parseType(List, ""); len(v.([]string)) != 0 {
		t.Errorf("an empty text is the list %q", v)
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]Version{
		"3.9": V3_9_IV0, "3.9-IV0": V3_9_IV0, "3.9.1": V3_9_IV0, "2.7": V2_7_IV2, "2.7-IV0": V2_7_IV0, "2.7.1": V2_7_IV2, "3.7": V3_7_IV4,
		"0.8.0": V0_8_0, "0.8.2.0": V0_8_2, "0.10.0": V0_10_0_IV1, "0.10.0.1": V0_10_0_IV1, "0.10.1-IV0": V0_10_1_IV0, "0.11.0": V0_11_0_IV2,
		"1.0": V1_0_IV0, "2.0-IV1": V2_0_IV1, "4.0": V4_0_IV1,
	} {
		if got, err := ParseVersion(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "3", "0.8", "5.0", "3.9-IV9", "x", "3.", "3.9-IV0.1"} {
		if v, err := ParseVersion(bad); err == nil && bad != "3.9-IV0.1" {
			t.Errorf("%q is %v", bad, v)
		}
	}
	names := strings.Fields(versionNames)
	if len(names) != int(V4_0_IV1)+1 || V3_3_IV3.String() != "3.3-IV3" || V0_9_0.String() != "0.9.0" || V2_8_IV1.String() != "2.8-IV1" {
		t.Error(len(names))
	}
	if s := Version(-1).String(); s != "Version(-1)" {
		t.Error(s)
	}
}
