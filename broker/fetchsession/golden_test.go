package fetchsession

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// TestRecordedSessions replays sessions a broker of Apache Kafka 3.9.1 held in versions 7 to 17. Its answers tell what was
// read; what they leave out had not changed. So a session here must leave out the same.
func TestRecordedSessions(t *testing.T) {
	f, err := os.Open("testdata/sessions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := NewCache(Options{Slots: 80})
	sessions := map[int32]int32{} // recorded id to ours
	last := map[key]Result{}      // what was told of a partition
	count := 0
	for lines := bufio.NewScanner(f); lines.Scan(); count++ {
		var l struct {
			Case              string
			Request, Response []byte
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		_, decoded, err := wire.DecodeRequest(l.Request)
		if err != nil {
			t.Fatal(err)
		}
		req := decoded.(*kmsg.FetchRequest)
		answer, err := wire.DecodeResponse(l.Response, req)
		if err != nil {
			t.Fatal(err)
		}
		recorded := answer.(*kmsg.FetchResponse)
		told := map[key]Result{}
		for _, topic := range recorded.Topics {
			for _, p := range topic.Partitions {
				partition := Partition{Topic: topic.Topic, TopicID: topic.TopicID, Partition: p.Partition}
				told[partition.key()] = Result{
					Code: wire.Code(p.ErrorCode), HighWatermark: p.HighWatermark, LogStartOffset: p.LogStartOffset,
					RecordBytes: len(p.RecordBatches), Diverging: p.DivergingEpoch.EndOffset != -1, PreferredRead: p.PreferredReadReplica != -1,
				}
			}
		}
		if ours, ok := sessions[req.SessionID]; ok {
			req.SessionID = ours
		}
		fetch, code := c.Begin(req, false, func(meta.TopicID) (string, bool) { return "topic", true })
		if code != wire.None {
			if int16(code) != recorded.ErrorCode || recorded.SessionID != 0 || len(recorded.Topics) > 0 {
				t.Errorf("%s: refused with %v, recorded error %d", l.Case, code, recorded.ErrorCode)
			}
			continue
		}
		partitions := slices.Clone(fetch.Partitions())
		results := make([]Result, len(partitions))
		for i, p := range partitions {
			r, news := told[p.key()]
			if !news {
				r = last[p.key()]
				r.RecordBytes, r.PreferredRead = 0, false
			}
			results[i], last[p.key()] = r, r
		}
		id, include, code := fetch.Finish(results)
		if int16(code) != recorded.ErrorCode || (id == 0) != (recorded.SessionID == 0) {
			t.Errorf("%s: session %d, code %v; recorded session %d, error %d", l.Case, id, code, recorded.SessionID, recorded.ErrorCode)
		}
		sessions[recorded.SessionID] = id
		delete(sessions, 0)
		included := 0
		for i, p := range partitions {
			if _, want := told[p.key()]; include[i] != want {
				t.Errorf("%s: partition %d included %v", l.Case, p.Partition, include[i])
			}
		}
		for i := range include {
			if include[i] {
				included++
			}
		}
		if included != len(told) {
			t.Errorf("%s: %d partitions included, %d recorded", l.Case, included, len(told))
		}
	}
	if count < 70 {
		t.Errorf("only %d exchanges", count)
	}
}
