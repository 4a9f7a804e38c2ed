package meta

import "testing"

// What Kafka's Sanitizer makes of names, some of it seen in znodes it wrote.
func TestSanitize(t *testing.T) {
	for name, want := range map[string]string{
		"alice":          "alice",
		"app one":        "app%20one",
		"app~two":        "app%7Etwo",
		"CN=bob,O=x y*z": "CN%3Dbob%2CO%3Dx%20y%2Az",
		"<default>":      "%3Cdefault%3E",
		"a+b%/é":         "a%2Bb%25%2F%C3%A9",
		"User:admin":     "User%3Aadmin",
		"":               "",
	} {
		if got := Sanitize(name); got != want {
			t.Errorf("%q is sanitised to %q, not %q", name, got, want)
		}
		if got, err := Desanitize(want); err != nil || got != name {
			t.Errorf("%q is %q, %v, not %q", want, got, err, name)
		}
	}
	if got, err := Desanitize("a+b%2b"); err != nil || got != "a b+" {
		t.Error(got, err)
	}
	for _, bad := range []string{"%", "a%2", "%zz"} {
		if got, err := Desanitize(bad); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}
