package broker_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rules say how a recording is replayed, and what may differ from it.
type rules struct {
	skipped []skipRule
	allowed []*allowance
	// instead is called for what is left out, where it prepared something for what follows; nil does nothing.
	instead func(*replay, *exchange)
	// paused reports whether the recorded client had waited for the consequences of what it did before; nil: never.
	paused func(*exchange) bool
	// expect changes what was recorded before it is compared with what came; nil changes nothing.
	expect func(e *exchange, want, got kmsg.Response)
}

// skipRule leaves exchanges out: those for which is says so.
type skipRule struct {
	why string
	is  func(*exchange) bool
}

// allowance is a difference that is as it should be. Each pattern is matched against the whole of its subject.
type allowance struct {
	api, cases, path string // regular expressions; "" is everything
	want, got        string // regular expressions; "" is everything
	why              string
	chance           bool // there may be no difference in some runs

	compiled [5]*regexp.Regexp
	used     bool
}

func (a *allowance) matches(subjects ...string) bool {
	if a.compiled[0] == nil {
		for i, p := range []string{a.api, a.cases, a.path, a.want, a.got} {
			if p == "" {
				p = ".*"
			}
			a.compiled[i] = regexp.MustCompile("^(?s:" + p + ")$")
		}
	}
	for i, s := range subjects {
		if !a.compiled[i].MatchString(s) {
			return false
		}
	}
	return true
}

func (r *rules) skips(e *exchange) string {
	for _, s := range r.skipped {
		if s.is(e) {
			return s.why
		}
	}
	return ""
}

func (r *rules) wanted(e *exchange, path, want, got string) bool {
	for _, a := range r.allowed {
		if a.matches(e.API, e.Case, path, want, got) {
			a.used = true
			return true
		}
	}
	return false
}

// checkUsed fails the test for rules that nothing needs any more.
func (r *rules) checkUsed(t *testing.T) {
	for _, a := range r.allowed {
		if !a.used && !a.chance {
			t.Errorf("no difference is left that this was for: %s (%s, %s, %s)", a.why, a.api, a.cases, a.path)
		}
	}
}

const present = `[^n].*|n[^u].*` // not null

// volatile are values that no two runs have in common.
func volatile() []*allowance {
	return []*allowance{
		{path: `ClusterID`, want: present, got: present, why: "random"},
		{path: `Brokers\[\d\]\.Port`, why: "whatever is free"},
		{path: `.*ErrorMessage`, want: present, got: present, why: "own words", chance: true},
	}
}

func bareRules() *rules {
	return &rules{allowed: volatile(), expect: func(_ *exchange, want, got kmsg.Response) { expectServed(want, got) }}
}

// expectServed takes the APIs that are not served yet out of what was recorded.
func expectServed(want, got kmsg.Response) {
	w, ok := want.(*kmsg.ApiVersionsResponse)
	if !ok {
		return
	}
	w.ApiKeys = slices.DeleteFunc(w.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
		return !slices.ContainsFunc(got.(*kmsg.ApiVersionsResponse).ApiKeys, func(own kmsg.ApiVersionsResponseApiKey) bool { return own.ApiKey == k.ApiKey })
	})
}
