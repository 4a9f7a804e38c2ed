package broker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// followed is an exchange between a follower and its leader, both Apache Kafka 3.9.1.
type followed struct {
	Name, Protocol    string
	From              int32
	API               string
	Version           int16
	Request, Response string // frames without the size, base64
}

func readFollowed(t *testing.T) []followed {
	t.Helper()
	f, err := os.Open("testdata/follower.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []followed
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e followed
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		t.Fatal("no recordings")
	}
	return all
}

// A leader that gets from this program what it got from Apache Kafka, byte for byte, and whose answers are understood.
func TestFollowersAskAsKafkaDoes(t *testing.T) {
	for _, e := range readFollowed(t) {
		t.Run(e.Protocol+" "+e.Name, func(t *testing.T) {
			recorded, _ := base64.StdEncoding.DecodeString(e.Request)
			answer, _ := base64.StdEncoding.DecodeString(e.Response)
			protocol, err := config.ParseVersion(e.Protocol)
			if err != nil {
				t.Fatal(err)
			}
			l := linkTo(t, meta.BrokerID(e.From), protocol, func(request []byte) []byte {
				if !bytes.Equal(request[:4], recorded[:4]) || !bytes.Equal(request[8:], recorded[8:]) { // all but the correlation id
					t.Errorf("sent\n%x, Apache Kafka sends\n%x", request, recorded)
				}
				return append(bytes.Clone(request[4:8]), answer[4:]...)
			})
			_, body, err := wire.DecodeRequest(recorded)
			if err != nil {
				t.Fatal(err)
			}
			repeat(t, l, body)
		})
	}
}

// repeat asks through the link for what was asked in a recorded request.
func repeat(t *testing.T, l *replicaLink, body kmsg.Request) {
	t.Helper()
	ctx := context.Background()
	switch req := body.(type) {
	case *kmsg.FetchRequest:
		q := queryOf(req)
		reply, err := l.Fetch(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Free()
		for _, p := range reply.Partitions {
			switch {
			case p.Err != nil && (p.HighWatermark != -1 || len(p.Records) > 0):
				t.Errorf("an error with data: %+v", p)
			case p.Err == nil && p.HighWatermark < 0:
				t.Errorf("no high watermark: %+v", p)
			case p.Diverging != nil && *p.Diverging != replica.Divergence{Epoch: 3, EndOffset: 11}:
				t.Errorf("diverging at %+v", p.Diverging)
			}
		}
	case *kmsg.ListOffsetsRequest:
		p := req.Topics[0].Partitions[0]
		asks := []replica.EpochAsk{{Partition: meta.TopicPartition{Topic: req.Topics[0].Topic, Partition: p.Partition}, CurrentLeaderEpoch: meta.LeaderEpoch(p.CurrentLeaderEpoch)}}
		replies, err := l.Offsets(ctx, p.Timestamp, asks)
		if want := map[int64]int64{replica.Latest: 8, replica.Earliest: 6}[p.Timestamp]; err != nil || replies[0] != (replica.OffsetReply{Offset: want}) {
			t.Errorf("%+v, %v", replies, err)
		}
	case *kmsg.OffsetForLeaderEpochRequest:
		p := req.Topics[0].Partitions[0]
		asks := []replica.EpochAsk{{Partition: meta.TopicPartition{Topic: req.Topics[0].Topic, Partition: p.Partition},
			CurrentLeaderEpoch: 1, Epoch: meta.LeaderEpoch(p.LeaderEpoch)}}
		replies, err := l.EpochEnds(ctx, asks)
		if err != nil || replies[0].Err != nil || replies[0].EndOffset != 3 {
			t.Errorf("%+v, %v", replies, err)
		}
	default:
		t.Fatalf("a recorded %T", body)
	}
}

func queryOf(req *kmsg.FetchRequest) *replica.FetchQuery {
	q := &replica.FetchQuery{BrokerEpoch: meta.BrokerEpoch(req.ReplicaState.Epoch), SessionID: req.SessionID, SessionEpoch: req.SessionEpoch,
		ByID: req.Version > 12, MaxWait: time.Duration(req.MaxWaitMillis) * time.Millisecond, MinBytes: int(req.MinBytes), MaxBytes: int(req.MaxBytes)}
	// A name for every id: requests of version 13 and later do not carry it.
	name := func(topic string, id meta.TopicID) string {
		if topic == "" {
			return id.String()
		}
		return topic
	}
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			q.Partitions = append(q.Partitions, replica.FetchPartition{
				Partition: meta.TopicPartition{Topic: name(topic.Topic, topic.TopicID), Partition: p.Partition}, TopicID: topic.TopicID,
				Offset: p.FetchOffset, LogStart: p.LogStartOffset, MaxBytes: int(p.PartitionMaxBytes),
				CurrentLeaderEpoch: meta.LeaderEpoch(p.CurrentLeaderEpoch), LastFetchedEpoch: meta.LeaderEpoch(p.LastFetchedEpoch)})
		}
	}
	for _, topic := range req.ForgottenTopics {
		for _, p := range topic.Partitions {
			q.Forgotten = append(q.Forgotten, replica.ForgottenPartition{Partition: meta.TopicPartition{Topic: name(topic.Topic, topic.TopicID), Partition: p}, TopicID: topic.TopicID})
		}
	}
	return q
}

// linkTo makes a link to a leader, broker 9, that answers each request frame as answer says.
func linkTo(t *testing.T, self meta.BrokerID, protocol config.Version, answer func(request []byte) []byte) *replicaLink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			frame, err := wire.ReadFrame(conn, 1<<20)
			if err != nil {
				return
			}
			reply := answer(frame.Bytes())
			frame.Free()
			size := len(reply)
			if _, err := conn.Write(append([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, reply...)); err != nil {
				return
			}
		}
	}()
	cache := metadata.NewCache()
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version = 8
	b := kmsg.NewUpdateMetadataRequestLiveBroker()
	e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
	b.ID, e.ListenerName, e.Host, e.Port = 9, "INTER", "127.0.0.1", int32(listener.Addr().(*net.TCPAddr).Port)
	b.Endpoints = append(b.Endpoints, e)
	req.LiveBrokers = append(req.LiveBrokers, b)
	cache.Apply(req)
	l := &replicaLink{self: self, leader: 9, listener: "INTER", protocol: protocol, metadata: cache,
		pool: peer.New(peer.Options{ClientID: "broker-" + string(rune('0'+self)) + "-fetcher-0"})}
	t.Cleanup(func() {
		l.Close()
		listener.Close()
		<-served
	})
	return l
}

func TestALeaderWithoutAddressCannotBeAsked(t *testing.T) {
	l := &replicaLink{leader: 9, listener: "INTER", protocol: config.V3_9_IV0, metadata: metadata.NewCache(), pool: peer.New(peer.Options{})}
	defer l.Close()
	if _, err := l.Fetch(context.Background(), &replica.FetchQuery{}); err == nil {
		t.Error("an unknown broker was fetched from")
	}
	if _, err := l.Offsets(context.Background(), replica.Latest, nil); err == nil {
		t.Error("an unknown broker was asked for offsets")
	}
}

// Request versions by inter.broker.protocol.version, as of MetadataVersion.java.
func TestFollowersVersions(t *testing.T) {
	for _, test := range []struct {
		protocol                  string
		fetch, listOffsets, epoch int16
	}{
		{"3.9", 17, 9, 4}, {"3.8", 16, 8, 4}, {"3.7-IV3", 15, 8, 4}, {"3.5-IV0", 14, 8, 4}, {"3.4", 13, 7, 4}, {"3.0", 12, 7, 4},
		{"2.8", 12, 6, 4}, {"2.7", 12, 5, 3}, {"2.7-IV0", 11, 5, 3}, {"2.3", 11, 5, 3}, {"2.2", 10, 5, 2}, {"2.1", 10, 4, 2}, {"2.0", 8, 3, 1},
		{"1.1", 7, 2, 0}, {"1.0", 5, 2, 0}, {"0.11.0-IV0", 4, 2, 0},
	} {
		p, err := config.ParseVersion(test.protocol)
		if err != nil {
			t.Fatal(err)
		}
		if f, l, e := fetchVersion(p), listOffsetsVersion(p), offsetForLeaderEpochVersion(p); f != test.fetch || l != test.listOffsets || e != test.epoch {
			t.Errorf("%s: Fetch %d, ListOffsets %d, OffsetForLeaderEpoch %d", test.protocol, f, l, e)
		}
	}
}

func TestLeaderErrors(t *testing.T) {
	for code, want := range map[wire.Code]error{
		wire.ErrOffsetOutOfRange: storage.ErrOffsetOutOfRange, wire.ErrNotLeaderOrFollower: replica.ErrNotLeader,
		wire.ErrFencedLeaderEpoch: replica.ErrFencedLeaderEpoch, wire.ErrUnknownLeaderEpoch: replica.ErrUnknownLeaderEpoch,
		wire.ErrUnknownTopicOrPartition: replica.ErrUnknownPartition, wire.ErrUnknownTopicID: replica.ErrUnknownTopicID,
		wire.ErrInconsistentTopicID: replica.ErrInconsistentTopicID, wire.ErrFetchSessionIDNotFound: replica.ErrFetchSessionUnknown,
		wire.ErrInvalidFetchSessionEpoch: replica.ErrFetchSession, wire.ErrFetchSessionTopicID: replica.ErrFetchSession,
		wire.ErrKafkaStorage: wire.ErrKafkaStorage,
	} {
		if err := leaderError(int16(code)); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", code, err, want)
		}
	}
	if err := leaderError(0); err != nil {
		t.Error(err)
	}
}
