package broker_test

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientRules are for the recording of three brokers with an authorizer.
func clientRules() *rules {
	return &rules{
		skipped: []skipRule{
			{"not authorized: a listener with logins is not served yet", func(e *exchange) bool { return e.Listener == "sasl" }},
			{"transactions are not coordinated yet", aboutTransactions},
			{"there is one replica", func(e *exchange) bool {
				return e.API == "Fetch" && e.Version >= 11 && strings.HasSuffix(e.Case, "broker is follower") ||
					strings.HasSuffix(e.Case, "a replica still counted in sync does not fetch") || strings.HasSuffix(e.Case, "too few replicas in sync") ||
					strings.HasSuffix(e.Case, "reassignment in flight") || strings.HasSuffix(e.Case, "another factor")
			}},
			{"an answer that only says to ask again", func(e *exchange) bool { return e.API == "InitProducerID" && asksAgain(e) }},
		},
		allowed: append(volatile(), clientAllowed()...),
		instead: makeInternalTopics,
		paused:  func(e *exchange) bool { return paused.MatchString(e.Case) },
		rewrite: oneReplica,
		expect:  expectOneReplica,
	}
}

var paused = regexp.MustCompile("asked again|^version 0, none$")

// makeInternalTopics does what finding coordinators did.
func makeInternalTopics(p *replay, e *exchange) {
	if e.Case != "set-up: internal topics" {
		return
	}
	p.makeTopics("__consumer_offsets", "__transaction_state")
}

// oneReplica asks for one replica where several were asked for.
func oneReplica(e *exchange, req kmsg.Request) bool {
	changed := false
	first := func(ids *[]int32) {
		if len(*ids) > 1 {
			*ids, changed = (*ids)[:1], true
		}
	}
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		for i := range req.Topics {
			t := &req.Topics[i]
			if t.Topic == "dupes" || t.Topic == "uneven" {
				continue
			}
			if t.ReplicationFactor == 2 {
				t.ReplicationFactor, changed = 1, true
			}
			for j := range t.ReplicaAssignment {
				first(&t.ReplicaAssignment[j].Replicas)
			}
		}
	case *kmsg.CreatePartitionsRequest:
		for i := range req.Topics {
			for j := range req.Topics[i].Assignment {
				first(&req.Topics[i].Assignment[j].Replicas)
			}
		}
	}
	return changed
}

// expectOneReplica turns what was answered for several replicas into what one has.
func expectOneReplica(_ *exchange, want, got kmsg.Response) {
	expectServed(want, got)
	switch resp := want.(type) {
	case *kmsg.MetadataResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				p := &resp.Topics[i].Partitions[j]
				p.Replicas = p.Replicas[:1]
				p.ISR = p.Replicas
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for i := range resp.Resources {
			r := &resp.Resources[i]
			r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
				return c.Name == "super.users" || strings.HasPrefix(c.Name, "listener.name.sasl.")
			})
		}
	case *kmsg.DescribeLogDirsResponse:
		for i := range resp.Dirs {
			resp.Dirs[i].Dir = got.(*kmsg.DescribeLogDirsResponse).Dirs[i].Dir
			for j := range resp.Dirs[i].Topics {
				t := &resp.Dirs[i].Topics[j]
				t.Partitions = slices.DeleteFunc(t.Partitions, func(p kmsg.DescribeLogDirsResponseDirTopicPartition) bool {
					return t.Topic == "orders" && p.Partition > 0 // led by others
				})
			}
		}
	case *kmsg.CreateTopicsResponse:
		for i := range resp.Topics {
			if t := &resp.Topics[i]; t.ReplicationFactor > 1 {
				t.ReplicationFactor = 1
			}
		}
	}
}

// aboutTransactions is for what needs a transaction coordinator, before or now.
func aboutTransactions(e *exchange) bool {
	switch req := decodeQuestion(e.Request).(type) {
	case *kmsg.InitProducerIDRequest:
		return req.TransactionalID != nil && *req.TransactionalID != ""
	case *kmsg.ProduceRequest:
		return strings.HasPrefix(e.Case, "transactional")
	case *kmsg.FetchRequest:
		return strings.Contains(e.Case, "read committed")
	case *kmsg.DescribeProducersRequest:
		return true
	}
	return false
}

func clientAllowed() []*allowance {
	return []*allowance{
		{api: "(Metadata|DescribeCluster)", path: `(Brokers|Topics(\[.*\]\.Partitions)?) order`, why: "hash maps in Kafka, sorted here"},
		{api: "CreateTopics", path: `.*Configs order`, why: "hash map in Kafka, sorted here"},
		{api: "DescribeConfigs", path: `.*Configs order`, why: "hash map in Kafka, sorted here"},
		{api: "DescribeConfigs", path: `.*Documentation`, want: present, got: present, why: "own words"},
		{api: "DescribeConfigs", path: `.*Configs\[(listeners|advertised.listeners|log.dirs|zookeeper.connect|authorizer.class.name|` +
			`controlled.shutdown.enable|controlled.shutdown.retry.backoff.ms|default.replication.factor|transaction.state.log.min.isr|` +
			`offsets.topic.replication.factor|transaction.state.log.replication.factor)\].*`, why: "these brokers are set up otherwise"},
		{api: "DescribeLogDirs", path: `.*order`, why: "hash map in Kafka, sorted here"},
		{api: "DescribeLogDirs", cases: `.*, all`, path: `Dirs\[.*\]\.Topics.*`, why: "this broker has fewer replicas, and placed them by chance"},
		{api: "DescribeLogDirs", path: `.*(TotalBytes|UsableBytes)`, want: `\d+`, got: `\d+`, why: "another disk"},
		{api: "DescribeConfigs", path: `Resources\[1\].Configs\[root\].Value`, why: "the level of tests", chance: true},
		{api: "InitProducerID", cases: ".*, without id", path: "ProducerID", want: `\d+`, got: `\d+`, why: "the recording gave some to transactions"},
		{api: "Metadata", path: `Topics\[(__consumer_offsets|__transaction_state|born-by-metadata)\].*(Leader|Replicas|ISR)`, why: "placed at random", chance: true},
		{api: "ElectLeaders", path: `.*Partitions order`, why: "hash map in Kafka, sorted here"},
		{api: "Fetch", cases: ".*compressed data.*", path: `Topics\[old\].*RecordBatches.*`, want: "1|absent",
			why: "Kafka converts the first batch, then all the rest at once, and gives up because of the zstd batch among it"},
		{api: "Produce", cases: ".*, null records", path: "", want: "did not answer", got: "answered",
			why: "Kafka's handler fails on them without an answer"},
		{api: "Produce", path: `.*LogAppendTime`, want: `\d{13}`, got: `\d{13}`, why: "time"},
		{api: "Fetch", path: `Topics\[(id of )?stamped\].*(timestamp|bytes)`, why: "time"},
		{api: "Fetch", path: `Topics\[(id of )?(zipped|old)\].*(bytes|length|cut off)`, why: "no two compressors compress alike"},
		{api: "Fetch", path: `SessionID`, want: `[^0].*`, got: `[^0].*`, why: "random"},
	}
}
