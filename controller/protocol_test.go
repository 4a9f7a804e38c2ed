package controller

import "testing"

func TestParseProtocol(t *testing.T) {
	for _, test := range []struct {
		version                    string
		leader, update, stop       int16
		ids, recovery, alter, pids bool
		features, levels           bool
	}{
		{"3.9", 7, 8, 4, true, true, true, true, true, true},
		{"3.9-IV0", 7, 8, 4, true, true, true, true, true, true},
		{"3.4-IV0", 7, 8, 4, true, true, true, true, true, true},
		{"3.3", 6, 7, 3, true, true, true, true, true, true},
		{"3.2-IV0", 6, 7, 3, true, true, true, true, true, false},
		{"3.1", 5, 7, 3, true, false, true, true, true, false},
		{"3.0-IV0", 5, 7, 3, true, false, true, true, true, false},
		{"2.8", 5, 7, 3, true, false, true, false, true, false},
		{"2.8-IV0", 4, 6, 3, true, false, true, false, true, false},
		{"2.7-IV2", 4, 6, 3, false, false, true, false, true, false},
		{"2.7-IV1", 4, 6, 3, false, false, false, false, true, false},
		{"2.6", 4, 6, 3, false, false, false, false, false, false},
		{"2.5-IV0", 4, 6, 2, false, false, false, false, false, false},
		{"2.4-IV1", 4, 6, 2, false, false, false, false, false, false},
		{"2.4-IV0", 3, 5, 1, false, false, false, false, false, false},
		{"2.2", 2, 5, 1, false, false, false, false, false, false},
		{"1.1-IV0", 1, 4, 0, false, false, false, false, false, false},
		{"1.0", 1, 4, 0, false, false, false, false, false, false},
		{"1.0.2", 1, 4, 0, false, false, false, false, false, false},
		{"0.11.0", 0, 3, 0, false, false, false, false, false, false},
		{"0.10.2-IV0", 0, 3, 0, false, false, false, false, false, false},
		{"0.10.0-IV1", 0, 2, 0, false, false, false, false, false, false},
		{"0.10.0-IV0", 0, 1, 0, false, false, false, false, false, false},
		{"0.9.0.0", 0, 1, 0, false, false, false, false, false, false},
		{"0.8.2", 0, 0, 0, false, false, false, false, false, false},
	} {
		p, err := ParseProtocol(test.version)
		want := Protocol{test.leader, test.update, test.stop, test.ids, test.recovery, test.alter, test.pids, test.features, test.levels}
		if err != nil || p != want {
			t.Errorf("%s: %+v, %v; want %+v", test.version, p, err, want)
		}
	}
	for _, bad := range []string{"", "3", "x.y", "3.9-IVx", "3.-1", "3.9-IV-1"} {
		if p, err := ParseProtocol(bad); err == nil {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}
