package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// httpServer offers /metrics and /healthz, and /debug/pprof where that is switched on, on kraal.http.listen. It serves from the
// first moment of a broker's life to its last: when logs are being recovered, people want to know.
type httpServer struct {
	b        *Broker
	log      *zap.Logger
	listener net.Listener // nil: no HTTP
}

// listenHTTP binds kraal.http.listen.
func listenHTTP(ctx context.Context, b *Broker) (*httpServer, error) {
	h := &httpServer{b: b, log: b.o.Logging.Logger("http")}
	address := b.dynamic.Current().HTTP.Listen
	if address == "" {
		return h, nil
	}
	var err error
	if h.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return nil, fmt.Errorf("kraal.http.listen: %w", err)
	}
	return h, nil
}

// start serves until the function it returns is called, which waits for the end.
func (h *httpServer) start() (stop func()) {
	if h.listener == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.b.o.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /healthz", h.healthz)
	if h.b.dynamic.Current().HTTP.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	h.log.Info("serving /metrics and /healthz", zap.Stringer("address", h.listener.Addr()), zap.Bool("pprof", h.b.dynamic.Current().HTTP.Pprof))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("the HTTP server failed; metrics cannot be read until the next start", zap.Error(err))
		}
	}()
	return func() {
		_ = s.Close()
		<-ended
	}
}

// healthz answers 200 while the broker runs, has a ZooKeeper session and a log directory that works, else 503 with the reason. That
// ZooKeeper cannot be reached is none: data service outlives it, and whoever restarts brokers for it makes matters worse.
func (h *httpServer) healthz(w http.ResponseWriter, _ *http.Request) {
	if problem := h.problem(); problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	text := "ok\n"
	if !h.b.life.reachable() {
		text = "ok, but ZooKeeper cannot be reached\n"
	}
	_, _ = io.WriteString(w, text)
}

func (h *httpServer) problem() string {
	switch s := h.b.state.load(); {
	case s != running:
		return s.String()
	case h.b.life.gone():
		return "no ZooKeeper session"
	case len(h.b.logs.LiveDirs()) == 0:
		return "every log directory has failed"
	}
	return ""
}
