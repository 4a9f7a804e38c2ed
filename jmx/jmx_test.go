package jmx

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestBucketsAreOrderedAndNarrow(t *testing.T) {
	for _, v := range []float64{math.Inf(-1), -1, 0, math.NaN(), math.SmallestNonzeroFloat64, 0.0009} {
		if got := bucketOf(v); got != 0 {
			t.Errorf("%g is in bucket %d", v, got)
		}
	}
	for v := 0.001; v < 1<<highest; v *= 1.01 {
		i := bucketOf(v)
		if low, high := lowerBound(i), lowerBound(i+1); v < low || v >= high {
			t.Fatalf("%g is in bucket %d: [%g, %g)", v, i, low, high)
		} else if high > low*1.126 {
			t.Fatalf("bucket %d is wide: [%g, %g)", i, low, high)
		}
	}
	for _, v := range []float64{1 << highest, 1e300, math.MaxFloat64, math.Inf(1)} {
		if got := bucketOf(v); got != bucketCount-1 {
			t.Errorf("%g is in bucket %d, not the last", v, got)
		}
	}
}

func TestQuantilesAreClose(t *testing.T) {
	h := NewHistogram("h", "")
	random := rand.New(rand.NewPCG(1, 2))
	var all []float64
	for range 20000 {
		v := math.Exp(random.NormFloat64() * 2)
		all = append(all, v)
		h.Observe(v)
	}
	slices.Sort(all)
	for i, got := range h.quantiles() {
		want := all[int(quantiles[i].q*float64(len(all)))]
		if got < want*0.95 || got > want*1.05 {
			t.Errorf("quantile %s is %g, want %g", quantiles[i].label, got, want)
		}
	}
}

func TestZeroesStayZero(t *testing.T) {
	h := NewHistogram("h", "")
	if got := h.quantiles(); slices.Max(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for range 98 {
		h.Took(0)
	}
	h.Took(time.Second)
	h.Took(time.Second)
	got := h.quantiles()
	if slices.Max(got[:4]) != 0 || got[4] < 900 || got[5] < 900 {
		t.Errorf("of 98 zeros and two seconds: %v", got)
	}
}

func TestQuantilesForget(t *testing.T) {
	h := NewHistogram("h", "")
	now := time.Unix(0, 0)
	h.mu.now = func() time.Time { return now }
	median := func() float64 { return h.quantiles()[0] }
	h.Observe(1000)
	for _, step := range []struct {
		after   time.Duration
		observe float64
		want    float64 // about
	}{
		{0, 0, 1000}, // before the first scrape counts as lately
		{window / 2, 10, 10},
		{window / 4, 10, 10},
		{window/4 + 1, 0, 10},
		{window / 2, 0, 0}, // nothing since the window half before this one began
		{window * 10, 7, 7},
	} {
		now = now.Add(step.after)
		if step.observe > 0 {
			h.Observe(step.observe)
			h.Observe(step.observe)
		}
		if got := median(); math.Abs(got-step.want) > step.want/8 {
			t.Errorf("at %v: %g, want about %g", now.Sub(time.Unix(0, 0)), got, step.want)
		}
	}
	if got := h.count.Load(); got != 7 {
		t.Errorf("count is %d", got)
	}
}

func TestCountersMayWrap(t *testing.T) {
	h := NewHistogram("h", "")
	now := time.Unix(0, 0)
	h.mu.now = func() time.Time { return now }
	h.counts[bucketOf(5)].Store(math.MaxUint32)
	h.quantiles()
	now = now.Add(window)
	h.quantiles()
	h.Observe(5)
	h.Observe(5)
	h.Observe(80)
	if got := h.quantiles()[0]; got < 4.9 || got > 5.6 {
		t.Errorf("median after a wrap is %g", got)
	}
}

func TestExposition(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	one := NewHistogram("kafka_one", "One.")
	vec := NewHistogramVec("kafka_vec", "Many.", "request")
	r.MustRegister(one, vec)
	one.Observe(0)
	vec.With("Fetch").Observe(0)
	vec.With("Gone").Observe(0)
	vec.Delete("Gone")
	r.MustRegister(NewTable([]string{"topic", "partition"}, []Column{{"kafka_size", "Size."}, {"kafka_end", "End."}},
		func(yield func([]string, []float64) bool) {
			_ = yield([]string{"b", "1"}, []float64{1, 2}) && yield([]string{"a", "0"}, []float64{3, 4})
		}))
	const want = `# HELP kafka_end End.
# TYPE kafka_end gauge
kafka_end{partition="0",topic="a"} 4
kafka_end{partition="1",topic="b"} 2
# HELP kafka_one One.
# TYPE kafka_one gauge
kafka_one{quantile="0.50"} 0
kafka_one{quantile="0.75"} 0
kafka_one{quantile="0.95"} 0
kafka_one{quantile="0.98"} 0
kafka_one{quantile="0.99"} 0
kafka_one{quantile="0.999"} 0
# HELP kafka_one_count One.
# TYPE kafka_one_count counter
kafka_one_count 1
# HELP kafka_size Size.
# TYPE kafka_size gauge
kafka_size{partition="0",topic="a"} 3
kafka_size{partition="1",topic="b"} 1
# HELP kafka_vec Many.
# TYPE kafka_vec gauge
kafka_vec{quantile="0.50",request="Fetch"} 0
kafka_vec{quantile="0.75",request="Fetch"} 0
kafka_vec{quantile="0.95",request="Fetch"} 0
kafka_vec{quantile="0.98",request="Fetch"} 0
kafka_vec{quantile="0.99",request="Fetch"} 0
kafka_vec{quantile="0.999",request="Fetch"} 0
# HELP kafka_vec_count Many.
# TYPE kafka_vec_count counter
kafka_vec_count{request="Fetch"} 1
`
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	vec := NewHistogramVec("h", "", "l")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 1000 {
				vec.With(strconv.Itoa(i % 2)).Observe(float64(i))
			}
		})
	}
	wg.Go(func() {
		for range 100 {
			for _, h := range []string{"0", "1"} {
				vec.With(h).quantiles()
			}
		}
	})
	wg.Wait()
	if n := vec.With("0").count.Load() + vec.With("1").count.Load(); n != 4000 {
		t.Errorf("counted %d", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := NewHistogram("h", "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for v := 0.0; pb.Next(); v++ {
			h.Observe(v)
		}
	})
}

// BenchmarkTableScrape is a scrape of 5,000 partitions.
func BenchmarkTableScrape(b *testing.B) {
	var columns []Column
	for i := range 10 {
		columns = append(columns, Column{"kafka_log_log_" + strconv.Itoa(i), "What it is."})
	}
	r := prometheus.NewRegistry()
	r.MustRegister(NewTable([]string{"topic", "partition"}, columns, func(yield func([]string, []float64) bool) {
		values := make([]float64, len(columns))
		for i := range 5000 {
			for c := range values {
				values[c] = float64(i * c)
			}
			if !yield([]string{"topic-" + strconv.Itoa(i/10), strconv.Itoa(i % 10)}, values) {
				return
			}
		}
	}))
	handler := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	for _, encoding := range []string{"", "gzip"} {
		b.Run("encoding="+encoding, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := &httptest.ResponseRecorder{Body: new(bytes.Buffer)}
				req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				req.Header.Set("Accept-Encoding", encoding)
				handler.ServeHTTP(w, req)
				b.SetBytes(int64(w.Body.Len()))
			}
		})
	}
}
