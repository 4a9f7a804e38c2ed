package broker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// httpServer offers /metrics and /healthz, and /debug/pprof where that is switched on, on kraal.http.listen.
type httpServer struct {
	b      *Broker
	log    *zap.Logger
	listen string // empty: no HTTP
}

func newHTTPServer(b *Broker) *httpServer {
	h := &httpServer{b: b, log: b.o.Logging.Logger("http"), listen: b.dynamic.Current().HTTP.Listen}
	b.o.Metrics.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kraal_broker_info", Help: "1, with what this process is in its labels.",
			ConstLabels: prometheus.Labels{"version": b.o.Version, "cluster": b.clusterID}}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kafka_server_kafkaserver_brokerstate", Help: "3 while the broker runs."},
			func() float64 { return 3 }))
	return h
}

// Run serves until ctx ends.
func (h *httpServer) Run(ctx context.Context) error {
	if h.listen == "" {
		<-ctx.Done()
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.listen)
	if err != nil {
		return err
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
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	h.log.Info("serving metrics", zap.Stringer("address", listener.Addr()))
	if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// healthz answers 200 while the broker is registered in ZooKeeper and a log directory works, else 503 with the reason.
func (h *httpServer) healthz(w http.ResponseWriter, _ *http.Request) {
	problem := ""
	switch {
	case h.b.life.gone():
		problem = "no ZooKeeper session"
	case len(h.b.logs.LiveDirs()) == 0:
		problem = "every log directory has failed"
	}
	if problem != "" {
		http.Error(w, problem, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
