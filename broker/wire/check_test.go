package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestSchemasAgreeWithKmsg walks over what kmsg encodes, in every key and version: the walk must end exactly at the
// end, and refuse whatever is cut off.
func TestSchemasAgreeWithKmsg(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	agree := func(what string, key, version int16, flexible bool, ops []op, body []byte) {
		w := walk{reader: reader{src: body}, version: version, flexible: flexible, budget: 1 << 40}
		if w.fields(ops); w.bad || len(w.src) > 0 {
			t.Errorf("%s of key %d version %d: bad %v, %d bytes left of %d", what, key, version, w.bad, len(w.src), len(body))
		}
		if len(body) > 0 {
			w = walk{reader: reader{src: body[:r.IntN(len(body))]}, version: version, flexible: flexible, budget: 1 << 40}
			if w.fields(ops); !w.bad && len(w.src) == 0 {
				t.Errorf("%s of key %d version %d: a cut goes unnoticed", what, key, version)
			}
		}
	}
	eachVersion(func(key, version int16) {
		m := schemaOf(key)
		for range 20 {
			req := kmsg.RequestForKey(key)
			fill(r, reflect.ValueOf(req).Elem())
			req.SetVersion(version)
			agree("request", key, version, req.IsFlexible(), m.request, req.AppendTo(nil))
			if req.IsFlexible() != m.isFlexible(version) || version == 0 && req.MaxVersion() != m.highest {
				t.Errorf("key %d version %d: flexible or highest differ", key, version)
			}
			resp := req.ResponseKind()
			fill(r, reflect.ValueOf(resp).Elem())
			resp.SetVersion(version)
			agree("response", key, version, resp.IsFlexible(), m.response, resp.AppendTo(nil))
		}
	})
}

// TestHostileCounts sends a few bytes that claim to be many.
func TestHostileCounts(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<32-1)
	header := func(key, version int16) []byte {
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		b := binary.BigEndian.AppendUint16(nil, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		b = append(b, 0, 0, 0, 1, 0, 1, 'c')
		return b
	}
	for _, c := range []struct {
		name  string
		frame []byte
	}{
		{"tags of the header", append(header(3, 9), huge...)},
		{"tags of the body", append(append(header(12, 4), 0, 2, 'g', 0, 0, 0, 0, 2, 'm', 0), huge...)},
		{"one tag, huge", append(append(header(12, 4), 0, 2, 'g', 0, 0, 0, 0, 2, 'm', 0, 1, 9), huge...)},
		{"compact array", append(append(header(3, 9), 0), huge...)},
		{"compact string", append(append(header(12, 4), 0), huge...)},
		{"array", append(header(3, 1), 0x7f, 0xff, 0xff, 0xff)},
		{"array as long as the frame", append(append(header(3, 1), 0, 0, 1, 0), make([]byte, 256)...)},
	} {
		start := time.Now()
		if _, _, err := DecodeRequest(c.frame); !errors.Is(err, ErrMalformed) && c.name != "array as long as the frame" {
			t.Errorf("%s: %v", c.name, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
	}
}

// TestCostlyMessages sends large frames of elements that are tiny on the wire and large in memory.
func TestCostlyMessages(t *testing.T) {
	const n = 4 << 20
	topics := binary.BigEndian.AppendUint32([]byte{0, 1, 0, 0, 0, 0}, n)
	topics = append(topics, make([]byte, 6*n)...) // no name, no partitions: 6 bytes, 64 in memory
	if err := checkRequest(0, 0, topics); !errors.Is(err, ErrTooCostly) {
		t.Errorf("many empty topics: %v", err)
	}
	tags := append([]byte{2, 'g', 0, 0, 0, 0, 2, 'm', 0}, binary.AppendUvarint(nil, n)...)
	tags = append(tags, bytes.Repeat([]byte{9, 0}, n)...)
	if err := checkRequest(12, 4, tags); !errors.Is(err, ErrTooCostly) {
		t.Errorf("many tags: %v", err)
	}

	// What an honest broker sends is far from that: the whole of a large fleet in one request.
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.SetVersion(8)
	for range 200 {
		topic := kmsg.NewUpdateMetadataRequestTopicState()
		topic.Topic = "t"
		topic.PartitionStates = make([]kmsg.UpdateMetadataRequestTopicPartition, 1000)
		req.TopicStates = append(req.TopicStates, topic)
	}
	if err := checkRequest(6, 8, req.AppendTo(nil)); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	eachVersion(func(key, version int16) {
		req := kmsg.RequestForKey(key)
		fill(r, reflect.ValueOf(req).Elem())
		req.SetVersion(version)
		f.Add(AppendRequest(nil, req, 7, "fuzz")[sizePrefix:])
	})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 1<<20 {
			t.Skip("size is not the point")
		}
		h, req, err := DecodeRequest(frame)
		if err != nil {
			return
		}
		// What was understood must survive another round.
		again := AppendRequest(nil, req, h.CorrelationID, h.ClientID)[sizePrefix:]
		h2, req2, err := DecodeRequest(again)
		if err != nil || h2 != h {
			t.Fatalf("second decoding: %+v, %v", h2, err)
		}
		if third := AppendRequest(nil, req2, h.CorrelationID, h.ClientID)[sizePrefix:]; !bytes.Equal(again, third) {
			t.Fatalf("second encoding differs:\n%x\n%x", again, third)
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	r := rand.New(rand.NewPCG(6, 6))
	eachVersion(func(key, version int16) {
		resp := kmsg.ResponseForKey(key)
		fill(r, reflect.ValueOf(resp).Elem())
		resp.SetVersion(version)
		f.Add(key, version, AppendResponse(nil, resp, 7)[sizePrefix:])
	})
	f.Fuzz(func(t *testing.T, key, version int16, frame []byte) {
		req := kmsg.RequestForKey(key)
		if req == nil || len(frame) > 1<<20 {
			return
		}
		req.SetVersion(version)
		if resp, err := DecodeResponse(frame, req); err == nil {
			AppendResponse(nil, resp, 1)
		}
	})
}
