package broker_test

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// programs are the recorded client programs, in the order in which they used the broker.
var programs = []string{"java-3.9.1", "librdkafka-2.0.2-kcat", "kafka-python-auto", "kafka-python-0.10", "kafka-python-0.9",
	"sarama-2.8.0", "sarama-0.10.2.0", "sarama-0.8.2.0", "franz-go"}

// TestGoldenPrograms replays what client programs sent to produce three records to a new topic and to read them in a group.
func TestGoldenPrograms(t *testing.T) {
	t.Parallel()
	node := brokertest.Start(t, zktest.Start(t).Addr(), map[string]string{"offsets.topic.num.partitions": "3"})
	for _, name := range programs {
		t.Run(name, func(t *testing.T) {
			newReplay(t, map[string]string{"broker 1": node.Addr()}, programRules()).run(recorded(t, "program-"+name))
		})
	}
}

func programRules() *rules {
	return &rules{
		skipped: []skipRule{
			{"the program ended before the answer", func(e *exchange) bool { return e.Closed }},
			{"an answer that only says to ask again, and may not be needed here", asksAgain},
		},
		allowed: append(chance(volatile()),
			&allowance{api: "FindCoordinator", path: `(Coordinators\[.*\]\.)?Port`, why: "whatever is free", chance: true},
			&allowance{api: "InitProducerID", path: "ProducerID", want: `\d+`, got: `\d+`, why: "asked more often here", chance: true},
			&allowance{api: "Metadata", path: `(Brokers|Topics(\[.*\]\.Partitions)?) order`, why: "hash maps in Kafka, sorted here", chance: true},
			&allowance{api: "Fetch", path: "SessionID", want: `[^0].*`, got: `[^0].*`, why: "random", chance: true},
		),
		instead: func(p *replay, e *exchange) {
			if asksAgain(e) {
				p.differences(e)
			}
		},
		// Programs ask again until the topic they made, or the coordinators' has come into being.
		paused: func(e *exchange) bool { return e.API == "Metadata" || e.API == "FindCoordinator" },
		expect: func(_ *exchange, want, got kmsg.Response) { expectServed(want, got) },
	}
}

// asksAgain reports whether the recorded answer was that the topic or the producer ids are still on their way.
func asksAgain(e *exchange) bool {
	const coordinatorLoadInProgress, coordinatorNotAvailable, leaderNotAvailable, concurrentTransactions = 14, 15, 5, 51
	switch resp := decodeAnswer(e.Key, e.Version, e.Response).(type) {
	case *kmsg.InitProducerIDResponse:
		return resp.ErrorCode == coordinatorLoadInProgress
	case *kmsg.EndTxnResponse:
		return resp.ErrorCode == concurrentTransactions
	case *kmsg.AddOffsetsToTxnResponse:
		return resp.ErrorCode == concurrentTransactions
	case *kmsg.AddPartitionsToTxnResponse:
		return len(resp.Topics) > 0 && resp.Topics[0].Partitions[0].ErrorCode == concurrentTransactions ||
			len(resp.Transactions) > 0 && resp.Transactions[0].Topics[0].Partitions[0].ErrorCode == concurrentTransactions
	case *kmsg.FindCoordinatorResponse:
		return resp.ErrorCode == coordinatorNotAvailable || slices.ContainsFunc(resp.Coordinators, func(c kmsg.FindCoordinatorResponseCoordinator) bool { return c.ErrorCode == coordinatorNotAvailable })
	case *kmsg.MetadataResponse:
		return slices.ContainsFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.ErrorCode == leaderNotAvailable })
	}
	return false
}

// chance marks differences that need not show.
func chance(allowed []*allowance) []*allowance {
	for _, a := range allowed {
		a.chance = true
	}
	return allowed
}
