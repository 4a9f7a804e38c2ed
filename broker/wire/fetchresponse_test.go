package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ourFetch says with a FetchResponse what a kmsg.FetchResponse says.
func ourFetch(k *kmsg.FetchResponse) *FetchResponse {
	r := &FetchResponse{Version: k.Version, ThrottleMillis: k.ThrottleMillis, Code: Code(k.ErrorCode), SessionID: k.SessionID}
	for _, kt := range k.Topics {
		topic := FetchTopic{Topic: kt.Topic, TopicID: kt.TopicID}
		for _, kp := range kt.Partitions {
			p := NewFetchPartition(kp.Partition, Code(kp.ErrorCode))
			p.HighWatermark, p.LastStableOffset, p.LogStartOffset = kp.HighWatermark, kp.LastStableOffset, kp.LogStartOffset
			p.PreferredReadReplica = kp.PreferredReadReplica
			if kp.AbortedTransactions != nil {
				p.AbortedTransactions = []AbortedTransaction{}
			}
			for _, a := range kp.AbortedTransactions {
				p.AbortedTransactions = append(p.AbortedTransactions, AbortedTransaction{a.ProducerID, a.FirstOffset})
			}
			if d := kp.DivergingEpoch; d.Epoch != -1 || d.EndOffset != -1 {
				p.Diverging = &EpochEndOffset{d.Epoch, d.EndOffset}
			}
			if l := kp.CurrentLeader; l.LeaderID != -1 || l.LeaderEpoch != -1 {
				p.CurrentLeader = &LeaderIDAndEpoch{l.LeaderID, l.LeaderEpoch}
			}
			switch {
			case kp.RecordBatches == nil:
				p.NullRecords = true
			case len(kp.RecordBatches) > 0:
				p.Records = Bytes(kp.RecordBatches)
			}
			topic.Partitions = append(topic.Partitions, p)
		}
		r.Topics = append(r.Topics, topic)
	}
	for _, b := range k.Brokers {
		r.Nodes = append(r.Nodes, FetchNode{ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
	return r
}

// randomFetch makes a response that has only what its version can carry.
func randomFetch(r *rand.Rand, version int16) *kmsg.FetchResponse {
	k := kmsg.NewPtrFetchResponse()
	fill(r, reflect.ValueOf(k).Elem())
	k.Version = version
	if version < fetchNodeEndpoints {
		k.Brokers = nil
	}
	for i := range k.Topics {
		for j := range k.Topics[i].Partitions {
			p := &k.Topics[i].Partitions[j]
			p.SnapshotID = kmsg.NewFetchResponseTopicPartitionSnapshotID()
			switch r.IntN(4) {
			case 0:
				p.RecordBatches = nil
			case 1:
				p.RecordBatches = make([]byte, inlineMax+r.IntN(3)-1)
			}
			if r.IntN(2) == 0 {
				p.DivergingEpoch = kmsg.NewFetchResponseTopicPartitionDivergingEpoch()
			}
			if r.IntN(2) == 0 {
				p.CurrentLeader = kmsg.NewFetchResponseTopicPartitionCurrentLeader()
			}
			if r.IntN(2) == 0 {
				p.AbortedTransactions = nil
			}
		}
	}
	return k
}

// TestFetchResponseLikeKmsg: the hand-written encoder writes what kmsg writes, in every version, in memory and in pieces.
func TestFetchResponseLikeKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 2))
	var pieces Pieces
	for version := int16(0); version <= 18; version++ {
		for range 200 {
			k := randomFetch(r, version)
			want := AppendResponse(nil, k, 42)
			ours := ourFetch(k)
			if got := AppendResponse(nil, ours, 42); !bytes.Equal(got, want) {
				t.Fatalf("version %d: AppendTo wrote\n%x, kmsg\n%x", version, got, want)
			}
			if err := pieces.Encode(ours, 42); err != nil {
				t.Fatal(err)
			}
			if got := joined(t, &pieces); !bytes.Equal(got, want) || pieces.Size() != len(want) {
				t.Fatalf("version %d: pieces are %d bytes, announced %d, want %d", version, len(got), pieces.Size(), len(want))
			}
			pieces.Reset()
		}
	}
}

func joined(t *testing.T, p *Pieces) []byte {
	var all []byte
	for run, section := range p.All() {
		all = append(all, run...)
		if section == nil {
			continue
		}
		b, err := io.ReadAll(io.NewSectionReader(section, 0, int64(section.Len())))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// countedSection counts releases, and fails to be read if broken.
type countedSection struct {
	Bytes
	broken   bool
	released int
}

func (s *countedSection) Release() { s.released++ }

func (s *countedSection) ReadAt(p []byte, off int64) (int, error) {
	if s.broken {
		return 0, errors.New("disk failure")
	}
	return s.Bytes.ReadAt(p, off)
}

func fetchOf(sections ...Section) *FetchResponse {
	topic := FetchTopic{Topic: "t"}
	for i, s := range sections {
		p := NewFetchPartition(int32(i), None)
		p.Records = s
		topic.Partitions = append(topic.Partitions, p)
	}
	return &FetchResponse{Version: 11, Topics: []FetchTopic{topic}}
}

func TestSectionsAreReleasedOnce(t *testing.T) {
	small, large := &countedSection{Bytes: make(Bytes, 10)}, &countedSection{Bytes: make(Bytes, inlineMax+1)}
	resp := fetchOf(small, large)
	if n := resp.RecordBytes(); n != inlineMax+11 {
		t.Errorf("%d record bytes", n)
	}
	var p Pieces
	if err := p.Encode(resp, 1); err != nil {
		t.Fatal(err)
	}
	resp.Release() // they are the pieces' now
	if small.released != 1 || large.released != 0 {
		t.Errorf("after encoding: small released %d times, large %d", small.released, large.released)
	}
	p.Reset()
	p.Reset()
	if small.released != 1 || large.released != 1 {
		t.Errorf("after sending: small released %d times, large %d", small.released, large.released)
	}

	broken, large := &countedSection{Bytes: make(Bytes, 10), broken: true}, &countedSection{Bytes: make(Bytes, inlineMax+1)}
	if err := p.Encode(fetchOf(large, broken), 1); err == nil {
		t.Error("a failed read goes unnoticed")
	}
	p.Reset()
	if broken.released != 1 || large.released != 1 {
		t.Errorf("after a failure: released %d and %d times", broken.released, large.released)
	}

	unsent := &countedSection{Bytes: make(Bytes, 10)}
	resp = fetchOf(unsent)
	resp.Release()
	resp.Release()
	if unsent.released != 1 {
		t.Errorf("a response that was not sent released %d times", unsent.released)
	}
}

// TestManySmallSections: memory stays bounded however many sections there are.
func TestManySmallSections(t *testing.T) {
	var sections []Section
	for range 200 {
		sections = append(sections, Bytes(randomBytes(inlineMax)))
	}
	want := AppendResponse(nil, fetchOf(sections...), 1)
	var p Pieces
	if err := p.Encode(fetchOf(sections...), 1); err != nil {
		t.Fatal(err)
	}
	if len(p.mem) > inlineTotal+100*len(sections) || !bytes.Equal(joined(t, &p), want) {
		t.Errorf("%d bytes in memory, or another frame", len(p.mem))
	}
}

func TestPiecesOfPlainResponse(t *testing.T) {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.SetVersion(4)
	var p Pieces
	if err := p.Encode(resp, 5); err != nil {
		t.Fatal(err)
	}
	if b, ok := p.Memory(); !ok || !bytes.Equal(b, AppendResponse(nil, resp, 5)) {
		t.Errorf("in memory %v: %x", ok, b)
	}
}

func TestBytesSection(t *testing.T) {
	s := Bytes("hello")
	if file, _ := s.File(); file != nil || s.Len() != 5 {
		t.Error("bytes in a file")
	}
	p := make([]byte, 3)
	if n, err := s.ReadAt(p, 1); n != 3 || err != nil || string(p) != "ell" {
		t.Errorf("read %q: %v", p[:n], err)
	}
	if n, err := s.ReadAt(p, 4); n != 1 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if _, err := s.ReadAt(p, 6); err == nil {
		t.Error("read beyond the end")
	}
	if _, err := s.ReadAt(p, -1); err == nil {
		t.Error("read before the beginning")
	}
}

func FuzzFetchResponse(f *testing.F) {
	f.Add(uint64(1), int16(4))
	f.Add(uint64(2), int16(17))
	f.Fuzz(func(t *testing.T, seed uint64, version int16) {
		version = (version%19 + 19) % 19
		k := randomFetch(rand.New(rand.NewPCG(seed, 1)), version)
		var p Pieces
		defer p.Reset()
		if err := p.Encode(ourFetch(k), 3); err != nil {
			t.Fatal(err)
		}
		frame := joined(t, &p)
		resp, err := DecodeResponse(frame[sizePrefix:], &kmsg.FetchRequest{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(AppendResponse(nil, resp, 3), AppendResponse(nil, k, 3)) {
			t.Fatal("kmsg reads something else")
		}
	})
}

func BenchmarkFetchEncode(b *testing.B) {
	sections := make([]Section, 50)
	for i := range sections {
		sections[i] = Bytes(make([]byte, 64<<10))
	}
	resp := fetchOf(sections...)
	resp.Version = 17
	var p Pieces
	b.ReportAllocs()
	for b.Loop() {
		for i := range sections {
			resp.Topics[0].Partitions[i].Records = sections[i]
		}
		if err := p.Encode(resp, 1); err != nil {
			b.Fatal(err)
		}
		p.Reset()
	}
}
