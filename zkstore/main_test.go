package zkstore

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// patience bounds every wait of a test.
const patience = 30 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

var chroots atomic.Int64

// open connects below a chroot of the test's own.
func open(t testing.TB, server *zktest.Server, change ...func(*Options)) *Store {
	t.Helper()
	return openAt(t, fmt.Sprintf("%s/t%d", server.Addr(), chroots.Add(1)), change...)
}

func openAt(t testing.TB, connect string, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{Connect: connect, SessionTimeout: 4 * time.Second, ConnectTimeout: patience, Logger: zap.NewNop()}
	if os.Getenv("KRAAL_TEST_LOG") != "" {
		o.Logger = zaptest.NewLogger(t)
	}
	for _, c := range change {
		c(&o)
	}
	s, err := Connect(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return New(s)
}

// signalled waits for a watch.
func signalled(t testing.TB, w *Watch) {
	t.Helper()
	select {
	case <-w.C:
	case <-time.After(patience):
		t.Fatal("no signal")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms) }
