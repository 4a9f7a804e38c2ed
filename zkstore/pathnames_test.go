package zkstore

import (
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/zkstore/zktest"
)

var oddNames = map[string]string{
	"group-1.of_Many":    "group-1.of_Many",
	"a b:c@d":            "a b:c@d",
	"naïve 日本":           "naïve 日本",
	"100%":               "100%",
	"50% of 3":           "50% of 3",
	"":                   "%empty",
	"%empty":             "%25empty",
	".":                  "%2E",
	"..":                 "%2E%2E",
	"...":                "...",
	"a/b":                "a%2Fb",
	"a%2Fb":              "a%252Fb",
	"%2/":                "%2%2F",
	"%%2F":               "%25%252F",
	"\x00\x1f\x7f\u0085": "%00%1F%7F%C2%85",
	"😀":                  "%F0%9F%98%80",
	"\ue000":             "%EE%80%80",
	"\xff":               "%FF",
	"\ufffd":             "%EF%BF%BD",
}

func TestPathNames(t *testing.T) {
	for name, want := range oddNames {
		if got := pathName(name); got != want {
			t.Errorf("%q is written %q, want %q", name, got, want)
		}
		if back := nameOfPath(want); back != name {
			t.Errorf("%q reads %q, want %q", want, back, name)
		}
	}
}

// TestPathNamesAreLegal: a real server takes every one of them.
func TestPathNamesAreLegal(t *testing.T) {
	z := open(t, zktest.Start(t))
	ctx := testContext(t)
	for name := range oddNames {
		if err := z.s.create(ctx, "/"+pathName(name), nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzPathNames(f *testing.F) {
	for name := range oddNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		element := pathName(name)
		if element == "" || element == "." || element == ".." || strings.ContainsAny(element, "/\x00") {
			t.Errorf("%q is no name of a znode", element)
		}
		if back := nameOfPath(element); back != name {
			t.Errorf("%q is written %q and reads %q", name, element, back)
		}
	})
}
