package transport

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Whoever speaks another protocol is told of, with a word on what it is; clients that come and go are not, and crowds get one line.
func TestStrangersAreToldOf(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	s := serve(t, handler(plain), func(o *Options) { o.Logger = zap.New(core) })
	s.answering("PLAINTEXT").Close()
	half := s.dial("PLAINTEXT")
	if _, err := half.Write(binary.BigEndian.AppendUint32(nil, 1000)); err != nil { // and no more
		t.Fatal(err)
	}
	half.Close()
	for range 3 {
		c := s.dial("PLAINTEXT")
		if _, err := c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")); err != nil {
			t.Fatal(err)
		}
		c.expectClosed()
	}
	lines := seen.All()
	if len(lines) == 0 || len(lines) > 2 {
		t.Fatalf("%d lines", len(lines))
	}
	fields := lines[0].ContextMap()
	if why, _ := fields["error"].(string); !strings.Contains(why, "this is TLS") || fields["listener"] != "PLAINTEXT" || fields["remote"] == "" {
		t.Errorf("%s %v", lines[0].Message, fields)
	}
}

func TestOneEndASecond(t *testing.T) {
	var e ends
	now := time.Unix(1000, 0)
	for _, step := range []struct {
		after  time.Duration
		passed int
		ok     bool
	}{{0, 0, true}, {0, 0, false}, {999 * time.Millisecond, 0, false}, {time.Millisecond, 2, true}, {time.Hour, 0, true}} {
		now = now.Add(step.after)
		if passed, ok := e.tell(now); passed != step.passed || ok != step.ok {
			t.Errorf("after %v: %d, %v", step.after, passed, ok)
		}
	}
}
