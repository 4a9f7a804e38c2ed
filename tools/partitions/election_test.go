package partitions

import (
	"errors"
	"slices"
	"testing"

	"github.com/IBM/sarama"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func TestParseElection(t *testing.T) {
	got, err := parseElection([]byte(`{"partitions":[{"topic":"b","partition":1},{"topic":"a","partition":10},{"topic":"a","partition":9}]}`))
	if want := []meta.TopicPartition{tp("a", 9), tp("a", 10), tp("b", 1)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := parseElection([]byte(`{"partitions":[]}`)); err != nil || got == nil || len(got) != 0 {
		t.Errorf("none: %v, %v: nil would mean all", got, err)
	}
	const mapping = "com.fasterxml.jackson.databind.JsonMappingException: "
	for text, want := range map[string]string{
		`nonsense`:                       "Replica election data is empty",
		`{}`:                             `Replica election data is missing "partitions" field`,
		`1`:                              mapping + "Expected JSON object, received 1",
		`{"partitions":5}`:               mapping + "Expected JSON array, received 5",
		`{"partitions":[5]}`:             mapping + "Expected JSON object, received 5",
		`{"partitions":[{"topic":"a"}]}`: mapping + "No such field exists: `partition`",
		`{"partitions":[{"topic":"a","partition":0},{"topic":"a","partition":0}]}`: "Replica election data contains duplicate partitions: [a-0]",
	} {
		if _, err := parseElection([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestParseElectionType(t *testing.T) {
	for text, want := range map[string]electionType{"preferred": preferred, "PREFERRED": preferred, "Unclean": unclean} {
		if got, err := parseElectionType(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	_, err := parseElectionType("quick")
	want := "joptsimple.OptionArgumentConversionException: Cannot parse argument 'quick' of option election-type\n" +
		"Caused by: joptsimple.ValueConversionException: Value [quick] is not one of [[PREFERRED,UNCLEAN]]"
	if err == nil || client.Trace(err) != want {
		t.Errorf("%v", err)
	}
}

func TestElectionReport(t *testing.T) {
	e := elections{
		done:     []meta.TopicPartition{tp("b", 0), tp("a", 1)},
		needless: []meta.TopicPartition{tp("d", 0), tp("c", 0)},
		failed: []failedElection{
			{tp("f", 0), errors.New("x")},
			{tp("e", 0), client.FromKError(sarama.ErrPreferredLeaderNotAvailable, text("no."))},
		},
	}
	e.sort()
	stdout, stderr := e.report(preferred)
	if want := `Successfully completed leader election (PREFERRED) for partitions a-1, b-0
Valid replica already elected for partitions c-0, d-0
Error completing leader election (PREFERRED) for partition: e-0: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: no.
Error completing leader election (PREFERRED) for partition: f-0: java.lang.RuntimeException: x
`; stdout != want {
		t.Errorf("stdout\n%s\nwant\n%s", stdout, want)
	}
	if want := "2 replica(s) could not be elected\n" +
		"org.apache.kafka.server.common.AdminCommandFailedException: 2 replica(s) could not be elected\n" +
		"\tSuppressed: org.apache.kafka.common.errors.PreferredLeaderNotAvailableException: no.\n" +
		"\tSuppressed: java.lang.RuntimeException: x\n\n"; stderr != want {
		t.Errorf("stderr\n%s\nwant\n%s", stderr, want)
	}
	if stdout, stderr := new(elections).report(unclean); stdout+stderr != "" {
		t.Errorf("nothing to report, and yet %q, %q", stdout, stderr)
	}
}
