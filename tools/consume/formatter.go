package consume

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/kraal-mq/kraal/tools/dump/coordlog"
)

// A formatter writes one record to the output. An error means the record could not be put into words; failures of the
// output itself show when it is flushed.
type formatter interface {
	write(out *bufio.Writer, r *record) error
}

const (
	formatters   = "org.apache.kafka.tools.consumer."
	coordinators = "kafka.coordinator."
)

// formatterClass maps the class names of before 3.5 to what takes their place. The three nested in the coordinators
// print another text than their successors and so are classes of their own (tools/.../ConsoleConsumerOptions.java).
func formatterClass(class string) (now, successor string) {
	switch class {
	case "kafka.tools.DefaultMessageFormatter", "kafka.tools.LoggingMessageFormatter", "kafka.tools.NoOpMessageFormatter":
		now = formatters + strings.TrimPrefix(class, "kafka.tools.")
		return now, now
	case coordinators + "transaction.TransactionLog$TransactionLogMessageFormatter",
		coordinators + "group.GroupMetadataManager$OffsetsMessageFormatter",
		coordinators + "group.GroupMetadataManager$GroupMetadataMessageFormatter":
		return class, formatters + class[strings.LastIndexByte(class, '$')+1:]
	}
	return class, ""
}

// newFormatter makes the formatter of a Java class; report is told what could not be set up but does not prevent
// formatting.
func newFormatter(class string, properties map[string]string, report func(string)) (formatter, error) {
	switch class {
	case formatters + "DefaultMessageFormatter":
		return newDefaultFormatter(properties, report), nil
	case formatters + "LoggingMessageFormatter":
		// What it logs has level INFO, which Kafka's tools do not print.
		return newDefaultFormatter(properties, report), nil
	case formatters + "NoOpMessageFormatter":
		return silent{}, nil
	case formatters + "OffsetsMessageFormatter":
		return coordinator(coordlog.FormatOffsets), nil
	case formatters + "GroupMetadataMessageFormatter":
		return coordinator(coordlog.FormatGroupMetadata), nil
	case formatters + "TransactionLogMessageFormatter":
		return coordinator(coordlog.FormatTransactions), nil
	case coordinators + "group.GroupMetadataManager$OffsetsMessageFormatter":
		return coordinator(coordlog.LegacyOffsets), nil
	case coordinators + "group.GroupMetadataManager$GroupMetadataMessageFormatter":
		return coordinator(coordlog.LegacyGroupMetadata), nil
	case coordinators + "transaction.TransactionLog$TransactionLogMessageFormatter":
		return coordinator(coordlog.LegacyTransactions), nil
	}
	return nil, fmt.Errorf("%s", class)
}

type silent struct{}

func (silent) write(*bufio.Writer, *record) error { return nil }

// coordinator prints records of the coordinators' topics, one per line; 3.9 itself lets the JSON ones run together.
type coordinator func(key, value []byte) (text string, ok bool, err error)

func (c coordinator) write(out *bufio.Writer, r *record) error {
	text, ok, err := c(r.key, r.value)
	if err != nil || !ok {
		return err
	}
	out.WriteString(text)
	out.WriteByte('\n')
	return nil
}
