package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
)

func numbers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("value %d", i)
	}
	return list
}

// sendAll sends values and returns what became of those that failed.
func sendAll(t *testing.T, f *fakeLog, values []string, pairs ...string) (failures []error) {
	t.Helper()
	settings, err := javaconfig.NewProducer(f.properties(pairs...), "test", false)
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	s := NewSender(settings, "t", SenderOptions{Warn: func(m string) { t.Log(m) }, Done: func(_ *sarama.ProducerMessage, err error) {
		done.Add(1)
		if err != nil {
			failures = append(failures, err)
		}
	}})
	for _, v := range values {
		if err := s.Send(&sarama.ProducerMessage{Value: sarama.StringEncoder(v)}); err != nil {
			t.Fatal(err)
		}
	}
	s.Flush()
	s.Close()
	if int(done.Load()) != len(values) {
		t.Errorf("%d of %d are accounted for", done.Load(), len(values))
	}
	return failures
}

// readAll reads n values.
func readAll(t *testing.T, f *fakeLog, n int, offset int64, pairs ...string) ([]string, error) {
	t.Helper()
	settings, err := javaconfig.NewConsumer(f.properties(append(pairs, "fetch.max.wait.ms", "100")...), "test")
	if err != nil {
		t.Fatal(err)
	}
	selection, err := NewSelection("t", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	out, ended := make(chan Batch), make(chan error, 1)
	source := NewSource(settings, SourceOptions{Selection: selection, Offset: offset, Warn: func(m string) { t.Log(m) }})
	go func() { ended <- source.Run(ctx, out) }()
	var got []string
	for len(got) < n {
		select {
		case b := <-out:
			for _, m := range b.Messages {
				got = append(got, string(m.Value))
			}
		case err := <-ended:
			return got, err
		}
	}
	cancel()
	return got, <-ended
}

func TestSendAndRead(t *testing.T) {
	f := newFakeLog(t)
	want := numbers(3000)
	if failures := sendAll(t, f, want, "buffer.memory", "20000"); failures != nil {
		t.Fatal(failures)
	}
	if got, _ := f.values(t); !slices.Equal(got, want) {
		t.Fatalf("%d records in the log, or not in order", len(got))
	}
	got, err := readAll(t, f, len(want), sarama.OffsetOldest)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %d records, %v", len(got), err)
	}
}

func TestSenderTriesAgain(t *testing.T) {
	f := newFakeLog(t)
	f.mu.produceErrors = []int16{6, 6} // NOT_LEADER_OR_FOLLOWER
	want := numbers(100)
	failures := sendAll(t, f, want, "retries", "3", "retry.backoff.ms", "1")
	if got, _ := f.values(t); failures != nil || !slices.Equal(got, want) {
		t.Errorf("%d records in the log, or not in order; %v", len(got), failures)
	}
}

func TestSenderGivesUp(t *testing.T) {
	f := newFakeLog(t)
	f.mu.produceErrors = []int16{10} // MESSAGE_TOO_LARGE
	failures := sendAll(t, f, numbers(1))
	if len(failures) != 1 || client.Describe(failures[0]) == "" || !strings.Contains(client.Describe(failures[0]), "RecordTooLargeException") {
		t.Errorf("%v", failures)
	}
}

// TestSenderIsIdempotentWhereItCan: a broker that cannot give out producer ids is no reason not to send.
func TestSenderIsIdempotentWhereItCan(t *testing.T) {
	for _, offered := range []bool{false, true} {
		f := newFakeLog(t)
		if offered {
			f.Cap(int16(kmsg.InitProducerID), 1)
			f.Answer(int16(kmsg.InitProducerID), func(kmsg.Request) kmsg.Response {
				resp := kmsg.NewPtrInitProducerIDResponse()
				resp.ProducerID = 4711
				return resp
			})
		}
		failures := sendAll(t, f, numbers(3))
		_, producers := f.values(t)
		if failures != nil || len(producers) == 0 || (producers[0] == 4711) != offered {
			t.Errorf("offered %t: %v, %v", offered, producers, failures)
		}
	}
}

func TestSenderWaitsForTheTopic(t *testing.T) {
	f := newFakeLog(t)
	f.mu.exists = false
	failures := sendAll(t, f, numbers(1), "max.block.ms", "300", "retry.backoff.ms", "20")
	if len(failures) != 1 || failures[0].Error() != "Topic t not present in metadata after 300 ms." {
		t.Errorf("%v", failures)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.mu.exists = true
	})
	if failures := sendAll(t, f, numbers(1), "retry.backoff.ms", "20"); failures != nil {
		t.Errorf("%v", failures)
	}
}

func TestDirectTriesAgain(t *testing.T) {
	f := newFakeLog(t)
	want := numbers(200)
	sendAll(t, f, want)
	f.mu.Lock()
	f.mu.fetchErrors = []int16{6, 5, 3} // NOT_LEADER_OR_FOLLOWER, LEADER_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION
	f.mu.Unlock()
	got, err := readAll(t, f, len(want), sarama.OffsetOldest, "retry.backoff.ms", "10")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d records, %v", len(got), err)
	}
}

func TestDirectResets(t *testing.T) {
	f := newFakeLog(t)
	want := numbers(20)
	sendAll(t, f, want)
	got, err := readAll(t, f, len(want), 99, "auto.offset.reset", "earliest", "retry.backoff.ms", "10")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	_, err = readAll(t, f, 1, 99, "auto.offset.reset", "none")
	var named *client.Error
	if !errors.As(err, &named) || named.Message != "Fetch position 99 is out of range for partition t-0" {
		t.Errorf("%v", err)
	}
}

func TestDirectEndsForGood(t *testing.T) {
	f := newFakeLog(t)
	sendAll(t, f, numbers(1))
	f.mu.Lock()
	f.mu.fetchErrors = slices.Repeat([]int16{29}, 100) // TOPIC_AUTHORIZATION_FAILED
	f.mu.Unlock()
	_, err := readAll(t, f, 1, sarama.OffsetOldest)
	if err == nil || !strings.Contains(client.Describe(err), "TopicAuthorizationException: Not authorized to access topics: [t]") {
		t.Errorf("%v", err)
	}
}
