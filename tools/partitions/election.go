package partitions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// electionType is what kafka-leader-election may do, as the wire numbers it.
type electionType int8

const (
	preferred electionType = iota
	unclean
)

func (e electionType) String() string {
	if e == unclean {
		return "UNCLEAN"
	}
	return "PREFERRED"
}

func parseElectionType(text string) (electionType, error) {
	for _, e := range []electionType{preferred, unclean} {
		if strings.EqualFold(text, e.String()) {
			return e, nil
		}
	}
	return 0, &client.Error{
		Class: "joptsimple.OptionArgumentConversionException", Message: "Cannot parse argument '" + text + "' of option election-type",
		Cause: &client.Error{Class: "joptsimple.ValueConversionException", Message: "Value [" + text + "] is not one of [[PREFERRED,UNCLEAN]]"},
	}
}

// parseElection reads {"partitions":[{"topic":"foo","partition":1}]}. The result is sorted and never nil, which would mean
// all partitions.
func parseElection(text []byte) ([]meta.TopicPartition, error) {
	document, err := jsonfile.Parse(text)
	if err != nil {
		return nil, operation("Replica election data is empty")
	}
	fields, err := document.Object()
	if err != nil {
		return nil, runtime(err)
	}
	list, ok := fields.Get("partitions")
	if !ok {
		return nil, operation(`Replica election data is missing "partitions" field`)
	}
	entries, err := list.Array()
	if err != nil {
		return nil, runtime(err)
	}
	partitions := make([]meta.TopicPartition, len(entries))
	for i, entry := range entries {
		fields, err := entry.Object()
		if err != nil {
			return nil, runtime(err)
		}
		if partitions[i], err = partitionOf(fields); err != nil {
			return nil, runtime(err)
		}
	}
	slices.SortFunc(partitions, meta.TopicPartition.Compare)
	if again := duplicates(partitions); len(again) > 0 {
		return nil, operation("Replica election data contains duplicate partitions: [" + joined(again, ", ") + "]")
	}
	return partitions, nil
}

func operation(message string) error {
	return &client.Error{Class: jsonfile.OperationException, Message: message}
}

// runtime wraps an error as Java does where only unchecked exceptions may pass.
func runtime(err error) error {
	return &client.Error{Class: client.RuntimeException, Message: client.Describe(err), Cause: err}
}

// elections are the results of an election, by what they mean to the tool.
type elections struct {
	done, needless []meta.TopicPartition
	failed         []failedElection
}

type failedElection struct {
	meta.TopicPartition
	err error
}

func (e *elections) sort() {
	slices.SortFunc(e.done, meta.TopicPartition.Compare)
	slices.SortFunc(e.needless, meta.TopicPartition.Compare)
	slices.SortFunc(e.failed, func(a, b failedElection) int { return a.Compare(b.TopicPartition) })
}

// report says what came of it: for stdout and, where something failed, for stderr.
func (e *elections) report(kind electionType) (stdout, stderr string) {
	var out, trace strings.Builder
	if len(e.done) > 0 {
		fmt.Fprintf(&out, "Successfully completed leader election (%s) for partitions %s\n", kind, joined(e.done, ", "))
	}
	if len(e.needless) > 0 {
		fmt.Fprintf(&out, "Valid replica already elected for partitions %s\n", joined(e.needless, ", "))
	}
	if len(e.failed) == 0 {
		return out.String(), ""
	}
	for _, f := range e.failed {
		fmt.Fprintf(&out, "Error completing leader election (%s) for partition: %s: %s\n", kind, f.TopicPartition, client.Describe(f.err))
		fmt.Fprintf(&trace, "\tSuppressed: %s\n", client.Describe(f.err))
	}
	message := fmt.Sprintf("%d replica(s) could not be elected", len(e.failed))
	return out.String(), fmt.Sprintf("%s\n%s: %s\n%s\n", message, jsonfile.CommandFailedException, message, &trace)
}
