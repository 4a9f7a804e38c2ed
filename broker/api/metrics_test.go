package api

import (
	"context"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
)

// requestSeries returns what there is of requests, as name{labels}.
func requestSeries(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), "kafka_network_requestmetrics_")
		if !ours {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[name+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func near(got, want float64) bool { return got >= want*0.88 && got <= want*1.13 }

// A request's time is divided among those it was spent with.
func TestTimesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		h := &Handler{metrics: newMetrics(reg), entries: map[int16]*entry{
			int16(kmsg.Produce): {serve: func(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
				time.Sleep(3 * time.Millisecond)
				return transport.Reply{Wait: func(context.Context) transport.Reply {
					time.Sleep(50 * time.Millisecond)
					return transport.Reply{Body: r.Body.(*kmsg.ProduceRequest).ResponseKind(), Throttle: 7 * time.Millisecond}
				}}
			}},
			int16(kmsg.Fetch): {serve: func(h *Handler, ctx context.Context, r *transport.Request) transport.Reply {
				time.Sleep(500 * time.Millisecond)
				r.Waited = 499 * time.Millisecond
				return transport.Reply{Body: &wire.FetchResponse{}}
			}},
		}}
		serve := func(body kmsg.Request, size int) {
			r := &transport.Request{Body: body, Size: size, Received: time.Now()}
			r.Header.Key, r.Header.Version = body.Key(), body.GetVersion()
			time.Sleep(2 * time.Millisecond) // behind another
			reply := h.Serve(t.Context(), r)
			if reply.Wait != nil {
				reply = reply.Wait(t.Context())
			}
			time.Sleep(4 * time.Millisecond) // behind another
			time.Sleep(time.Millisecond)
			reply.Done(1000, time.Millisecond)
		}
		produce := kmsg.NewPtrProduceRequest()
		produce.Version = 9
		serve(produce, 100)
		consumer := kmsg.NewPtrFetchRequest()
		consumer.Version, consumer.ReplicaID = 12, -1
		serve(consumer, 50)
		follower := kmsg.NewPtrFetchRequest()
		follower.Version, follower.ReplicaID, follower.ReplicaState.ID = 17, -1, 2
		serve(follower, 50)

		got := requestSeries(t, reg)
		for series, want := range map[string]float64{
			"requestqueuetimems{0.50,Produce}": 2, "localtimems{0.50,Produce}": 3, "remotetimems{0.50,Produce}": 50,
			"throttletimems{0.50,Produce}": 7, "responsequeuetimems{0.50,Produce}": 4, "responsesendtimems{0.50,Produce}": 1,
			"totaltimems{0.50,Produce}": 60, "requestbytes{0.50,Produce}": 100,
			"localtimems{0.50,Fetch}": 1, "remotetimems{0.99,Fetch}": 499, "remotetimems{0.50,FetchFollower}": 499,
			"remotetimems{0.50,FetchConsumer}": 499, "totaltimems_count{Fetch}": 2, "totaltimems_count{FetchConsumer}": 1,
			"requests_total{Produce,9}": 1, "requests_total{Fetch,12}": 1, "requests_total{FetchConsumer,12}": 1,
			"requests_total{Fetch,17}": 1, "requests_total{FetchFollower,17}": 1, "errors_total{NONE,Fetch}": 2,
		} {
			if v, there := got[series]; !there || !near(v, want) {
				t.Errorf("%s is %v (there: %v), want %v", series, v, there, want)
			}
		}
		if v, there := got["errors_total{NONE,FetchConsumer}"]; there {
			t.Errorf("errors of fetches are counted twice: %v", v)
		}
	})
}

// The handlers' idleness is that of as many threads as Kafka would have.
func TestIdleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(nil)
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(newIdleness(m, func() int { return 4 }))
		idle := func() (share, seconds float64) {
			families, err := reg.Gather()
			if err != nil || len(families) != 2 {
				t.Fatal(families, err)
			}
			return families[0].GetMetric()[0].GetGauge().GetValue(), families[1].GetMetric()[0].GetCounter().GetValue() / 1e9
		}
		var before float64
		for _, step := range []struct{ worked, share, idle float64 }{
			{0, 1, 10}, {20, 0.75, 5}, {40, 0.5, 0},
			{80, 0.125, 0}, // eight at once
			{0, 0.3, 10},
			{0, 1.0 / 3, 10}, {0, 0.5, 10}, {0, 0.6, 10}, // since the half minute
			{0, 1, 10},
		} {
			time.Sleep(10 * time.Second)
			m.worked.Add(int64(step.worked * 1e9))
			share, seconds := idle()
			if math.Abs(share-step.share) > 1e-6 || math.Abs(seconds-before-step.idle) > 1e-6 {
				t.Errorf("%+v: idle %g and for %g s", step, share, seconds-before)
			}
			before = seconds
		}
	})
}

func TestErrorCounts(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	fetch := &wire.FetchResponse{Topics: []wire.FetchTopic{{Partitions: []wire.FetchPartition{
		wire.NewFetchPartition(0, wire.None), wire.NewFetchPartition(1, wire.ErrNotLeaderOrFollower)}}}}
	produce := kmsg.NewPtrProduceResponse()
	produce.Topics = []kmsg.ProduceResponseTopic{{Partitions: []kmsg.ProduceResponseTopicPartition{{}, {}, {ErrorCode: int16(wire.ErrCorruptMessage)}}}}
	metadata := kmsg.NewPtrMetadataResponse()
	metadata.Topics = []kmsg.MetadataResponseTopic{{ErrorCode: int16(wire.ErrUnknownTopicOrPartition)},
		{Partitions: []kmsg.MetadataResponseTopicPartition{{}, {ErrorCode: int16(wire.ErrLeaderNotAvailable)}}}}
	init := kmsg.NewPtrInitProducerIDResponse()
	init.ErrorCode = int16(wire.ErrUnknownServer)
	odd := kmsg.NewPtrInitProducerIDResponse()
	odd.ErrorCode = 30000 // nothing that anybody would answer; it must not crash
	for name, body := range map[string]wire.Body{"Fetch": fetch, "Produce": produce, "Metadata": metadata, "InitProducerId": init,
		"ApiVersions": kmsg.NewPtrApiVersionsResponse(), "Odd": odd} {
		e := &errorMetrics{vec: m.errors, api: name}
		countErrors(body, e)
		countErrors(body, e)
	}
	want := map[string]float64{
		"errors_total{NONE,Fetch}": 4, "errors_total{NOT_LEADER_OR_FOLLOWER,Fetch}": 2,
		"errors_total{NONE,Produce}": 4, "errors_total{CORRUPT_MESSAGE,Produce}": 2,
		"errors_total{UNKNOWN_TOPIC_OR_PARTITION,Metadata}": 2, "errors_total{NONE,Metadata}": 6, "errors_total{LEADER_NOT_AVAILABLE,Metadata}": 2,
		"errors_total{UNKNOWN_SERVER_ERROR,InitProducerId}": 2, "errors_total{NONE,ApiVersions}": 2,
	}
	got := requestSeries(t, reg)
	maps.DeleteFunc(got, func(series string, _ float64) bool { return !strings.HasPrefix(series, "errors_total") })
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// Every API's response has a place for errors that is found, but for those that have none.
func TestErrorsAreFound(t *testing.T) {
	for _, e := range table {
		body := kmsg.ResponseForKey(e.key)
		if body == nil {
			continue
		}
		layout := layoutOf(body)
		if layout.field < 0 && len(layout.lists) == 0 {
			t.Errorf("%s has no error codes", kmsg.NameForKey(e.key))
		}
	}
}

func BenchmarkRequestMetrics(b *testing.B) {
	h := &Handler{metrics: newMetrics(prometheus.NewRegistry()), entries: map[int16]*entry{
		int16(kmsg.Fetch): {serve: func(*Handler, context.Context, *transport.Request) transport.Reply { return transport.Reply{} }}}}
	body := kmsg.NewPtrFetchRequest()
	body.Version, body.ReplicaID = 12, -1
	r := &transport.Request{Body: body, Received: time.Now()}
	r.Header.Key, r.Header.Version = body.Key(), body.GetVersion()
	b.ReportAllocs()
	for b.Loop() {
		reply := h.Serve(b.Context(), r)
		reply.Done(0, 0)
	}
}
