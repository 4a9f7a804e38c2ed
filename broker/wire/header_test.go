package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestHeaderVersions(t *testing.T) {
	for _, c := range []struct {
		key, version      int16
		request, response int
	}{
		{0, 8, 1, 0},
		{0, 9, 2, 1},
		{7, 0, 0, 0}, // ControlledShutdown before it had a client id
		{7, 1, 1, 0},
		{7, 3, 2, 1},
		{17, 1, 1, 0}, // SaslHandshake never became flexible
		{18, 2, 1, 0},
		{18, 3, 2, 0}, // the response of ApiVersions neither
		{4, 4, 2, 1},
		{5, 2, 2, 1},
		{6, 6, 2, 1},
	} {
		flexible, known := requestFlexible(c.key, c.version)
		if !known {
			t.Errorf("key %d version %d unknown", c.key, c.version)
		}
		if v := RequestHeaderVersion(c.key, c.version, flexible); v != c.request {
			t.Errorf("key %d version %d: request header %d, want %d", c.key, c.version, v, c.request)
		}
		if v := ResponseHeaderVersion(c.key, flexible); v != c.response {
			t.Errorf("key %d version %d: response header %d, want %d", c.key, c.version, v, c.response)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	last := "console"
	for _, c := range []struct {
		name  string
		frame string
		want  Header
		body  string
		err   error
	}{
		{"version 1", "\x00\x03\x00\x01\x00\x00\x00\x07\x00\x02me\xff\xff\xff\xff", Header{3, 1, 7, "me"}, "\xff\xff\xff\xff", nil},
		{"null client id", "\x00\x03\x00\x01\x00\x00\x00\x07\xff\xffrest", Header{3, 1, 7, ""}, "rest", nil},
		{"same client id", "\x00\x03\x00\x01\x00\x00\x00\x07\x00\x07console", Header{3, 1, 7, "console"}, "", nil},
		{"version 2 with a tag", "\x00\x03\x00\x09\x00\x00\x00\x07\x00\x02me\x01\x05\x02abrest", Header{3, 9, 7, "me"}, "rest", nil},
		{"version 0", "\x00\x07\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01", Header{7, 0, 7, ""}, "\x00\x00\x00\x01", nil},
		{"future ApiVersions", "\x00\x12\x00\x63\x00\x00\x00\x07\x00\x02me\x00what", Header{18, 99, 7, "me"}, "what", nil},
		{"unknown key", "\x03\xe7\x00\x00\x00\x00\x00\x07\xff\xff", Header{Key: 999, CorrelationID: 7}, "", ErrUnknownKey},
		{"negative key", "\xff\xff\x00\x00\x00\x00\x00\x07\xff\xff", Header{Key: -1, CorrelationID: 7}, "", ErrUnknownKey},
		{"negative ApiVersions", "\x00\x12\xff\xff\x00\x00\x00\x07\x00\x02mewhat", Header{18, -1, 7, "me"}, "what", nil},
		{"negative version", "\x00\x03\xff\xff\x00\x00\x00\x07\xff\xff", Header{3, -1, 7, ""}, "", ErrUnknownKey},
		{"short", "\x00\x03\x00", Header{}, "", ErrMalformed},
		{"client id cut off", "\x00\x03\x00\x01\x00\x00\x00\x07\x00\x09me", Header{Key: 3, Version: 1, CorrelationID: 7}, "", ErrMalformed},
		{"client id of length -2", "\x00\x03\x00\x01\x00\x00\x00\x07\xff\xfeme", Header{Key: 3, Version: 1, CorrelationID: 7}, "", ErrMalformed},
		{"no tags", "\x00\x03\x00\x09\x00\x00\x00\x07\xff\xff", Header{Key: 3, Version: 9, CorrelationID: 7}, "", ErrMalformed},
	} {
		h, body, err := DecodeHeader([]byte(c.frame), last)
		if h.ClientID == "" || err != nil {
			h.ClientID = c.want.ClientID
		}
		if h != c.want || string(body) != c.body || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, body %q, %v", c.name, h, body, err)
		}
	}
}

// TestTrailingBytes: a request may be followed by bytes nobody asked for.
func TestTrailingBytes(t *testing.T) {
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	frame := append(AppendRequest(nil, req, 1, "c")[sizePrefix:], "more"...)
	if _, _, err := DecodeRequest(frame); err != nil {
		t.Error(err)
	}
}

func TestDecodeAliasesBytesOnly(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "topic"
	topic.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: []byte("records")}}
	req.Topics = append(req.Topics, topic)
	frame := AppendRequest(nil, req, 1, "client")[sizePrefix:]
	h, decoded, err := DecodeRequest(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = 'X'
	}
	got := decoded.(*kmsg.ProduceRequest).Topics[0]
	if h.ClientID != "client" || got.Topic != "topic" {
		t.Errorf("strings alias the frame: %q %q", h.ClientID, got.Topic)
	}
	if string(got.Partitions[0].Records) != "XXXXXXX" {
		t.Errorf("records were copied: %q", got.Partitions[0].Records)
	}
}

func BenchmarkDecodeProduce(b *testing.B) {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = "topic"
	topic.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: bytes.Repeat([]byte("r"), 100_000)}}
	req.Topics = append(req.Topics, topic)
	frame := AppendRequest(nil, req, 1, "client")[sizePrefix:]
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeRequest(frame); err != nil {
			b.Fatal(err)
		}
	}
}
