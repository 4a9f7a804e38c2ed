package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/transport"
)

// Handler answers requests. It implements [transport.Handler].
type Handler struct {
	Deps
	served  []entry // table; handlers must not name it, since it names them
	entries map[int16]*entry
	metrics *metrics
	// creating holds the topics that some request is creating automatically right now on this broker.
	creating topicSet
	first    firstPicture
}

// New returns a handler that answers with what d offers.
func New(d Deps) *Handler {
	h := &Handler{Deps: d, served: table, entries: make(map[int16]*entry, len(table)), metrics: newMetrics(d.Metrics)}
	for i := range table {
		h.entries[table[i].key] = &table[i]
	}
	h.creating.init()
	if d.Metrics != nil {
		d.Metrics.MustRegister(newIdleness(h.metrics, func() int { return int(d.Config.Current().Threads.IO) }))
	}
	return h
}

// Versions implements [transport.Handler].
func (h *Handler) Versions(key int16) (lowest, highest int16, ok bool) {
	e := h.entries[key]
	if e == nil {
		return 0, 0, false
	}
	return e.lowest, e.highest, true
}

// Serve implements [transport.Handler].
func (h *Handler) Serve(ctx context.Context, r *transport.Request) transport.Reply {
	e := h.entries[r.Header.Key] // transport asked Versions first
	began := time.Now()
	j := h.metrics.begin(r, began)
	reply := e.serve(h, ctx, r)
	j.served(began, r.Waited, &reply)
	if wait := reply.Wait; wait != nil {
		served := time.Now()
		reply.Wait = func(ctx context.Context) transport.Reply {
			late := wait(ctx)
			now := time.Now()
			j.answered(now, now.Sub(served), &late)
			return late
		}
	}
	return reply
}

func (h *Handler) logClose(r *transport.Request, err error) {
	h.Logger.Info("closing a connection instead of answering",
		zap.String("api", kmsg.NameForKey(r.Header.Key)), zap.Int16("version", r.Header.Version),
		zap.Int32("correlation_id", r.Header.CorrelationID), zap.String("client_id", r.Header.ClientID),
		zap.Stringer("peer", r.Conn.RemoteAddr()), zap.Error(err))
}
