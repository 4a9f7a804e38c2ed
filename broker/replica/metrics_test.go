package replica

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// scrape returns a node's series whose name begins so, as name{label=value,...} without what all have in common.
func (n *node) scrape(prefix string) map[string]float64 {
	n.f.t.Helper()
	families, err := n.metrics.Gather()
	check(n.f.t, err)
	series := map[string]float64{}
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), prefix)
		if !ours {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			series[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return series
}

func (n *node) wantSeries(prefix string, want map[string]float64) {
	n.f.t.Helper()
	got := n.scrape(prefix)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[name]; !ok || v != want[name] {
			n.f.t.Errorf("broker %d: %s%s is %v (there: %v), want %v", n.id, prefix, name, v, ok, want[name])
		}
	}
}

func TestMetricsOfPartitions(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		for _, n := range f.nodes {
			n.topic.MinInSyncReplicas = 2
			n.bounce()
		}
		orders, single := f.create("orders", 1, 2, 3), f.create("single", 2)
		check(t, f.commit(orders, 5))
		f.write(single, 7)
		time.Sleep(time.Second)
		f.nodes[1].wantSeries("kafka_server_replicamanager_", map[string]float64{"partitioncount": 1, "leadercount": 1,
			"underreplicatedpartitions": 0, "underminisrpartitioncount": 0, "atminisrpartitioncount": 0, "offlinereplicacount": 0})
		f.nodes[2].wantSeries("kafka_server_replicamanager_", map[string]float64{"partitioncount": 2, "leadercount": 1})
		f.nodes[1].wantSeries("kafka_cluster_partition_", map[string]float64{
			"insyncreplicascount{partition=0,topic=orders}": 3, "replicascount{partition=0,topic=orders}": 3,
			"underreplicated{partition=0,topic=orders}": 0, "laststableoffsetlag{partition=0,topic=orders}": 0})
		f.nodes[2].wantSeries("kafka_cluster_partition_", map[string]float64{
			"insyncreplicascount{partition=0,topic=orders}": 0, "atminisr{partition=0,topic=single}": 1, "replicascount{partition=0,topic=single}": 1})
		f.nodes[2].wantSeries("kafka_log_log_", map[string]float64{"logendoffset{partition=0,topic=orders}": 5,
			"logendoffset{partition=0,topic=single}": 7, "numlogsegments{partition=0,topic=single}": 1, "logstartoffset{partition=0,topic=single}": 0})
		f.nodes[2].wantSeries("kafka_server_fetcher", map[string]float64{
			"lagmetrics_consumerlag{clientId=ReplicaFetcherThread-0-1,partition=0,topic=orders}": 0})
		f.nodes[2].wantSeries("kafka_server_replicafetchermanager_", map[string]float64{
			"maxlag{clientId=Replica}": 0, "failedpartitionscount{clientId=Replica}": 0})
		if got := f.nodes[2].scrape("kafka_server_fetcherstats_"); got["requests_total{clientId=ReplicaFetcherThread-0-1}"] < 2 ||
			got["bytes_total{clientId=ReplicaFetcherThread-0-1}"] != float64(f.log(1, orders).Size()) {
			t.Errorf("fetcher of broker 2: %v, log of %d bytes", got, f.log(1, orders).Size())
		}

		// One follower is gone: the ISR shrinks, and says so.
		f.nodes[3].kill()
		f.write(orders, 1) // or it would still have all there is
		time.Sleep(2 * f.cfg.ReplicaLagTimeMax)
		f.nodes[1].wantSeries("kafka_server_replicamanager_", map[string]float64{"underreplicatedpartitions": 1, "atminisrpartitioncount": 1,
			"isrshrinks_total": 1, "isrexpands_total": 0, "failedisrupdates_total": 0})
		f.nodes[1].wantSeries("kafka_cluster_partition_", map[string]float64{
			"insyncreplicascount{partition=0,topic=orders}": 2, "underreplicated{partition=0,topic=orders}": 1, "atminisr{partition=0,topic=orders}": 1})
	})
}

func TestMetricsOfTopicsGoWithThem(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		orders, others := f.create("orders", 1, 2), f.create("others", 1)
		f.write(orders, 5)
		f.write(others, 2)
		time.Sleep(time.Second)
		leader := f.nodes[1]
		leader.wantSeries("kafka_server_brokertopicmetrics_", map[string]float64{
			"messagesin_total{topic=orders}": 5, "messagesin_total{topic=others}": 2, "messagesin_total": 7,
			"totalproducerequests_total": 2, "failedproducerequests_total": 0})
		f.nodes[2].wantSeries("kafka_server_brokertopicmetrics_", map[string]float64{
			"replicationbytesin_total": float64(f.log(1, orders).Size()), "reassignmentbytesin_total": 0, "messagesin_total": 0})

		leader.m.TopicMetrics("made-up").Count(FetchesFailed, 1) // requests name what they like
		leader.wantSeries("kafka_server_brokertopicmetrics_", map[string]float64{"failedfetchrequests_total": 1})

		_, err := leader.m.StopReplicas(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch},
			[]Stopped{{Partition: orders, LeaderEpoch: deletedEpoch, Delete: true}})
		check(t, err)
		req := liveBrokers(1, 2)
		topic := kmsg.NewUpdateMetadataRequestTopicState()
		topic.Topic, topic.TopicID = orders.Topic, f.parts[orders].id
		part := kmsg.NewUpdateMetadataRequestTopicPartition()
		part.Leader = -2
		topic.PartitionStates = append(topic.PartitionStates, part)
		req.TopicStates = append(req.TopicStates, topic)
		leader.cache.Apply(req)
		for name := range leader.scrape("") {
			if strings.Contains(name, "orders") || strings.Contains(name, "made-up") {
				t.Errorf("%s is left of a topic that was deleted", name)
			}
		}
		leader.wantSeries("kafka_server_brokertopicmetrics_", map[string]float64{"messagesin_total{topic=others}": 2, "messagesin_total": 7})
	})
}

func TestMetricsOfWaits(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		time.Sleep(time.Second)
		n := f.nodes[1]
		// The follower waits in its session all the time.
		want := func(produce, fetch float64) {
			t.Helper()
			n.wantSeries("kafka_server_delayedoperationpurgatory_", map[string]float64{
				"purgatorysize{delayedOperation=Produce}": produce, "purgatorysize{delayedOperation=Fetch}": fetch,
				"numdelayedoperations{delayedOperation=Fetch}": fetch, "purgatorysize{delayedOperation=DeleteRecords}": 0})
		}
		synctest.Wait()
		want(0, 1)
		params := FetchParams{Replica: Consumer, MaxWait: 700 * time.Millisecond, MinBytes: 1, MaxBytes: 1000, WholeBatch: true}
		done := make(chan struct{})
		go func() {
			defer close(done)
			releaseAll(n.m.Fetch(context.Background(), &params, []FetchPartition{{Partition: tp, MaxBytes: 1000,
				CurrentLeaderEpoch: meta.NoLeaderEpoch, LastFetchedEpoch: meta.NoLeaderEpoch}}))
		}()
		synctest.Wait()
		want(0, 2)
		<-done
		synctest.Wait()
		want(0, 1)
		if params.Waited != params.MaxWait {
			t.Errorf("waited for %v", params.Waited)
		}
		got := n.scrape("kafka_server_delayedfetchmetrics_")
		if got["expires_total{fetcherType=consumer}"] != 1 || got["expires_total{fetcherType=follower}"] < 1 {
			t.Errorf("expired: %v", got)
		}

		f.setDeaf(1, 2, true)
		time.Sleep(time.Second)
		a := f.append(1, tp, 1, AcksAll)
		go n.m.Await(context.Background(), 300*time.Millisecond, []*Pending{a.Pending()})
		synctest.Wait()
		if got := n.scrape("kafka_server_delayedoperationpurgatory_purgatorysize"); got["{delayedOperation=Produce}"] != 1 {
			t.Errorf("waiting: %v", got)
		}
		time.Sleep(time.Second)
		want(0, 0)
	})
}

// BenchmarkScrape is a scrape of a broker with 5,000 partitions: it is to stay well below 200 ms.
func BenchmarkScrape(b *testing.B) {
	r := prometheus.NewRegistry()
	benchLeader(b, 5000, r)
	handler := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	for b.Loop() {
		w := &httptest.ResponseRecorder{Body: new(bytes.Buffer)}
		req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		handler.ServeHTTP(w, req)
	}
}
