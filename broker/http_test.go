//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kraal-mq/kraal/broker"
	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// get returns the status and the body of a page, 0 if there is none.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestHTTPPages(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	node := brokertest.Start(t, zk.Addr(), map[string]string{"kraal.http.listen": "127.0.0.1:0"})
	expect := func(path string, status int, contains string) {
		t.Helper()
		if got, body := get(t, "http://"+node.HTTPAddr()+path); got != status || !strings.Contains(body, contains) {
			t.Errorf("%s: %d %.200q", path, got, body)
		}
	}
	expect("/metrics", http.StatusOK, "kafka_server_kafkaserver_brokerstate 3")
	expect("/healthz", http.StatusOK, "ok\n")
	expect("/", http.StatusNotFound, "")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile"} {
		expect(path, http.StatusNotFound, "") // nobody switched them on
	}
	resp, err := http.Post("http://"+node.HTTPAddr()+"/metrics", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered %s", resp.Status)
	}

	node.Stop()
	node.Set("kraal.http.pprof", "true")
	node.Start()
	expect("/debug/pprof/", http.StatusOK, "goroutine")
	expect("/debug/pprof/heap?debug=1", http.StatusOK, "heap profile")
	expect("/debug/pprof/cmdline", http.StatusOK, "")
	expect("/debug/pprof/symbol", http.StatusOK, "num_symbols")
}

// Health is told over a broker's whole life: before it runs, while ZooKeeper is away, which is no reason to restart it, and
// while it has no session, which is one not to send anybody there.
func TestHealthOverALife(t *testing.T) {
	t.Parallel()
	zk := zktest.Start(t)
	zk.Stop()
	addr := fmt.Sprintf("127.0.0.1:%d", brokertest.FreePort(t))
	stop := run(t, map[string]string{"broker.id": "1", "zookeeper.connect": zk.Addr(), "zookeeper.session.timeout.ms": "6000",
		"zookeeper.connection.timeout.ms": "1000", "listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": t.TempDir(), "kraal.http.listen": addr})
	health := func(what string, status int, contains string) {
		t.Helper()
		var got int
		var body string
		defer func() {
			if t.Failed() {
				t.Logf("%s: the last answer was %d %q", what, got, body)
			}
		}()
		eventually(t, what, func() bool {
			got, body = get(t, "http://"+addr+"/healthz")
			return got == status && strings.Contains(body, contains)
		})
	}
	health("starting without ZooKeeper", http.StatusServiceUnavailable, "starting")
	zk.Start()
	health("running", http.StatusOK, "ok\n")
	zk.Stop()
	health("running without ZooKeeper", http.StatusOK, "ok, but ZooKeeper cannot be reached")
	zk.Start()
	health("running again", http.StatusOK, "ok\n")
	stop()
	health("stopped", 0, "")
}

// run runs a broker, without waiting for it to serve, until the test ends or what it returns is called.
func run(t *testing.T, props map[string]string) (stop func()) {
	t.Helper()
	static, _, err := config.FromMap(props)
	if err != nil {
		t.Fatal(err)
	}
	logging, err := broker.NewLogging(t.Output(), "console", "WARN")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- broker.New(broker.Options{Config: static, Version: "test", Logging: logging, Metrics: prometheus.NewRegistry()}).Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}
