package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type exchange struct {
	Case     string
	Key      int16
	Version  int16
	Request  []byte
	Response []byte
}

// exchanges returns what clients and brokers of Apache Kafka 3.9.1 said to each other: at least one exchange for every
// version of every API a 3.9 broker in ZooKeeper mode serves.
func exchanges(t testing.TB) []exchange {
	f, err := os.Open("testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []exchange
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) < 400 {
		t.Fatalf("only %d exchanges", len(all))
	}
	return all
}

// TestGoldenExchanges: decode then encode is identity.
func TestGoldenExchanges(t *testing.T) {
	for _, e := range exchanges(t) {
		h, req, err := DecodeRequest(e.Request)
		if err != nil {
			t.Errorf("key %d version %d, %s: request: %v", e.Key, e.Version, e.Case, err)
			continue
		}
		if h.Key != e.Key || h.Version != e.Version {
			t.Errorf("key %d version %d, %s: read as %+v", e.Key, e.Version, e.Case, h)
		}
		if again := AppendRequest(nil, req, h.CorrelationID, h.ClientID); !bytes.Equal(again, frame(e.Request)) {
			t.Errorf("key %d version %d, %s: request became\n%x, was\n%x", e.Key, e.Version, e.Case, again[4:], e.Request)
		}
		if e.Response == nil {
			continue
		}
		resp, err := DecodeResponse(e.Response, req)
		if err != nil {
			t.Errorf("key %d version %d, %s: response: %v", e.Key, e.Version, e.Case, err)
			continue
		}
		if again := AppendResponse(nil, resp, h.CorrelationID); !bytes.Equal(again, frame(e.Response)) {
			t.Errorf("key %d version %d, %s: response became\n%x, was\n%x", e.Key, e.Version, e.Case, again[4:], e.Response)
		}
		if id, err := CorrelationID(e.Response); err != nil || id != h.CorrelationID {
			t.Errorf("key %d version %d, %s: correlation id %d, %v", e.Key, e.Version, e.Case, id, err)
		}
	}
}

// TestGoldenFetchResponses puts recorded fetch responses through the encoder of our own.
func TestGoldenFetchResponses(t *testing.T) {
	seen := map[int16]int{}
	for _, e := range exchanges(t) {
		if e.Key != fetchKey {
			continue
		}
		req := &kmsg.FetchRequest{Version: e.Version}
		resp, err := DecodeResponse(e.Response, req)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := CorrelationID(e.Response)
		if got := AppendResponse(nil, ourFetch(resp.(*kmsg.FetchResponse)), id); !bytes.Equal(got, frame(e.Response)) {
			t.Errorf("version %d, %s: encoded\n%x, recorded\n%x", e.Version, e.Case, got[4:], e.Response)
		}
		seen[e.Version]++
	}
	for v := int16(0); v <= 17; v++ {
		if seen[v] == 0 {
			t.Errorf("no fetch response of version %d recorded", v)
		}
	}
}
