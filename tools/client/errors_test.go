package client

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// The table is what org.apache.kafka.common.protocol.Errors of Apache Kafka 3.9.1 holds: code, name, class.
func TestClassOfAgreesWithErrorsJava(t *testing.T) {
	table, err := os.ReadFile("testdata/errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		code, err := strconv.ParseInt(f[0], 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		if got := ClassOf(int16(code)); got != f[2] {
			t.Errorf("ClassOf(%s %s) = %s, want %s", f[0], f[1], got, f[2])
		}
	}
}

func TestTraceFollowsCauses(t *testing.T) {
	message := "Topic 'a' is bad"
	err := Execution(FromCode(17, &message))
	want := "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.InvalidTopicException: Topic 'a' is bad\n" +
		"Caused by: org.apache.kafka.common.errors.InvalidTopicException: Topic 'a' is bad"
	if got := Trace(err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
