package broker_test

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientRules are for the recording of three brokers with an authorizer.
func clientRules() *rules {
	return &rules{
		skipped: []skipRule{
			{"not authorized: a listener with logins is not served yet", func(e *exchange) bool { return e.Listener == "sasl" }},
			{"a broker was stopped and continued", func(e *exchange) bool {
				return strings.HasSuffix(e.Case, "a replica still counted in sync does not fetch") ||
					strings.HasSuffix(e.Case, "too few replicas in sync") || strings.HasSuffix(e.Case, "in flight") ||
					e.Case == "to a frozen broker" || e.Case == "cancel"
			}},
			{"internal topics are made as they were placed in the recording", makesTopic},
			{"an answer that only says to ask again", func(e *exchange) bool { return e.API != "FindCoordinator" && e.API != "Metadata" && asksAgain(e) }},
		},
		allowed: append(volatile(), clientAllowed()...),
		instead: makeInternalTopics,
		paused:  func(e *exchange) bool { return paused.MatchString(e.Case) },
		expect:  expectHere,
	}
}

// paused are cases whose answers depend on what other brokers have heard by then.
var paused = regexp.MustCompile("^set-up: internal topics$|while the group rebalances|, again$|version 4, verify only, after|committed and aborted|who is controller|asked again|^version 0, none$|broker is follower|broker has no replica|not leader|not controller|no operations asked")

// makeInternalTopics does what finding coordinators did, but places the topics as they were placed in the recording, so that the
// same brokers coordinate.
func makeInternalTopics(p *replay, e *exchange) {
	if !makesTopic(e) {
		return
	}
	placed := p.placement(map[int8]string{0: "__consumer_offsets", 1: "__transaction_state"}[decodeQuestion(e.Request).(*kmsg.FindCoordinatorRequest).CoordinatorType])
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(4)
	req.Topics, req.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{placed}, 10_000
	p.until("internal topic", func() bool {
		t := p.ask(req).(*kmsg.CreateTopicsResponse).Topics[0]
		return t.ErrorCode == 0 || t.ErrorCode == kerr.TopicAlreadyExists.Code
	})
	p.makeTopics(placed.Topic)
}

// makesTopic is for requests on which Kafka made an internal topic.
func makesTopic(e *exchange) bool {
	if e.Case != "set-up: internal topics" {
		return false
	}
	answer, ok := decodeAnswer(e.Key, e.Version, e.Response).(*kmsg.FindCoordinatorResponse)
	return ok && answer.Coordinators[0].ErrorCode == kerr.CoordinatorNotAvailable.Code
}

// placement is where a topic's partitions were in the recording.
func (p *replay) placement(topic string) kmsg.CreateTopicsRequestTopic {
	placed := kmsg.NewCreateTopicsRequestTopic()
	placed.Topic, placed.NumPartitions, placed.ReplicationFactor = topic, -1, -1
	placed.Configs = internalConfigs(topic)
	for _, e := range p.all {
		answer, ok := decodeAnswer(e.Key, e.Version, e.Response).(*kmsg.MetadataResponse)
		if !ok {
			continue
		}
		for _, t := range answer.Topics {
			if t.Topic == nil || *t.Topic != topic || t.ErrorCode != 0 {
				continue
			}
			for _, part := range t.Partitions {
				placed.ReplicaAssignment = append(placed.ReplicaAssignment,
					kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: part.Partition, Replicas: part.Replicas})
			}
			return placed
		}
	}
	p.t.Fatalf("nothing recorded says where %s was", topic)
	return placed
}

// internalConfigs are the settings an internal topic is made with.
func internalConfigs(topic string) []kmsg.CreateTopicsRequestTopicConfig {
	settings := map[string]string{"cleanup.policy": "compact", "segment.bytes": "104857600", "compression.type": "producer"}
	if topic == "__transaction_state" {
		settings["compression.type"], settings["min.insync.replicas"], settings["unclean.leader.election.enable"] = "uncompressed", "2", "false"
	}
	var configs []kmsg.CreateTopicsRequestTopicConfig
	for key, value := range settings {
		configs = append(configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	return configs
}

// expectHere takes what these brokers are not set up for out of what was recorded, and calls their log directories as here.
func expectHere(_ *exchange, want, got kmsg.Response) {
	expectServed(want, got)
	switch want := want.(type) {
	case *kmsg.DescribeConfigsResponse:
		for i := range want.Resources {
			r := &want.Resources[i]
			r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
				return c.Name == "super.users" || strings.HasPrefix(c.Name, "listener.name.sasl.")
			})
		}
		for i := range got.(*kmsg.DescribeConfigsResponse).Resources {
			r := &got.(*kmsg.DescribeConfigsResponse).Resources[i]
			r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool { return c.Name == "offsets.storage" })
		}
	case *kmsg.DescribeLogDirsResponse:
		got := got.(*kmsg.DescribeLogDirsResponse)
		for i := range want.Dirs {
			want.Dirs[i].Dir = got.Dirs[i].Dir
		}
		mergeDirs(want)
		mergeDirs(got)
	}
}

// mergeDirs puts all replicas into the first directory: which gets one is chance where several are as full.
func mergeDirs(r *kmsg.DescribeLogDirsResponse) {
	all := map[string]*kmsg.DescribeLogDirsResponseDirTopic{}
	var topics []kmsg.DescribeLogDirsResponseDirTopic
	for i := range r.Dirs {
		for _, t := range r.Dirs[i].Topics {
			if all[t.Topic] == nil {
				all[t.Topic] = &kmsg.DescribeLogDirsResponseDirTopic{Topic: t.Topic}
			}
			all[t.Topic].Partitions = append(all[t.Topic].Partitions, t.Partitions...)
		}
		r.Dirs[i].Topics = nil
	}
	for _, t := range all {
		if t.Topic != "late-7" { // has one replica, on any broker
			topics = append(topics, *t)
		}
	}
	r.Dirs[0].Topics = topics
}

// offsetsInOnePlace: version 0 of OffsetCommit writes to ZooKeeper, and here so does every other.
func offsetsInOnePlace() []*allowance {
	return []*allowance{{api: "OffsetFetch", cases: "version 0", path: `Topics\[orders\].Partitions\[1\].Offset`, want: "1", got: "9",
		why: "in Kafka later versions' commits cannot be seen there"}}
}

func clientAllowed() []*allowance {
	return []*allowance{
		{api: "(Metadata|DescribeCluster)", path: `(Brokers|Topics(\[.*\]\.Partitions)?) order`, why: "hash maps in Kafka, sorted here"},
		{api: "(AddPartitionsToTxn|DescribeTransactions|WriteTxnMarkers)", path: `.*(order|Partitions)`, want: `\[.*`, got: `\[.*`, why: "hash maps in Kafka, sorted here or as asked"},
		{api: "DescribeTransactions", path: `.*StartTimestamp`, want: `\d{13}`, got: `\d{13}`, why: "time"},
		{api: "CreateTopics", path: `.*Configs order`, why: "hash map in Kafka, sorted here"},
		{api: "OffsetFetch", cases: "version 0.*", path: `Topics order`, why: "hash map in Kafka, as asked here"},
		{api: "(Delete|List)Groups", path: `Groups order`, why: "hash map in Kafka"},
		{api: "DescribeConfigs", path: `.*Configs order`, why: "hash map in Kafka, sorted here"},
		{api: "DescribeConfigs", path: `.*Documentation`, want: present, got: present, why: "own words"},
		{api: "DescribeConfigs", path: `.*Configs\[(listeners|advertised.listeners|log.dirs|zookeeper.connect|authorizer.class.name|` +
			`controlled.shutdown.enable|controlled.shutdown.retry.backoff.ms|replica.lag.time.max.ms)\].*`, why: "these brokers are set up otherwise"},
		{api: "DescribeLogDirs", path: `.*Topics\[(__.*|tx|thin)\].*Size`, why: "groups and transactions are not served yet, and no broker was stopped"},
		{api: "DescribeLogDirs", path: `.*Topics\[(old|zipped)\].*Size`, why: "no two compressors compress alike"},
		{api: "DescribeLogDirs", path: `.*order`, why: "hash map in Kafka, sorted here"},
		{api: "DescribeLogDirs", path: `.*(TotalBytes|UsableBytes)`, want: `\d+`, got: `\d+`, why: "another disk"},
		{api: "DescribeConfigs", path: `Resources\[1\].Configs\[root\].Value`, why: "the level of tests", chance: true},
		{api: "FindCoordinator", path: `(Coordinators\[.*\]\.)?Port`, why: "whatever is free"},
		{api: "Metadata", path: `Topics\[(born-by-metadata)\].*(Leader|Replicas|ISR)`, why: "placed at random", chance: true},
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
