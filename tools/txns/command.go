package txns

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Command returns kafka-transactions.
func Command() *cli.Command {
	topic := func() cli.Flag { return &cli.StringFlag{Name: "topic", Usage: "the topic"} }
	partition := func() cli.Flag { return &cli.IntFlag{Name: "partition", Usage: "the partition's number"} }
	broker := func() cli.Flag { return &cli.IntFlag{Name: "broker-id", Usage: "the broker to ask"} }
	return (&option.Suite{
		Name:  "kafka-transactions",
		Usage: "show transactions, find those that hang, and abort them",
		About: "This tool is used to analyze the transactional state of producers in the cluster. It can be used to detect and recover from hanging transactions.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "version", Aliases: []string{"v"}, Usage: "show the version of this Kafka distribution and exit"},
			&cli.StringFlag{Name: "command-config", Usage: "property file containing configs to be passed to admin client"},
			&cli.StringFlag{Name: "bootstrap-server", Usage: "hostname and port for the broker to connect to, in the form `host:port`"},
		},
		Required: []string{"bootstrap-server"},
		Commands: []*option.Suite{
			{Name: "list", Usage: "list transactions", Action: connected((*tool).list),
				Flags: []cli.Flag{&cli.Int64Flag{Name: "duration-filter", Value: -1, Usage: "duration (in millis) to filter by: if < 0, all transactions will be returned; otherwise, only transactions running longer than this duration will be returned"}}},
			{Name: "describe", Usage: "describe the state of an active transactional-id", Action: connected((*tool).describe), Required: []string{"transactional-id"},
				Flags: []cli.Flag{&cli.StringFlag{Name: "transactional-id", Usage: "the transactional id"}}},
			{Name: "describe-producers", Usage: "describe the states of active producers for a topic partition", Action: connected((*tool).describeProducers),
				Flags: []cli.Flag{broker(), topic(), partition()}, Required: []string{"topic", "partition"}},
			{Name: "abort", Usage: "abort a hanging transaction (requires administrative privileges)", Action: connected((*tool).abort),
				Flags: []cli.Flag{topic(), partition(), &cli.Int64Flag{Name: "start-offset", Usage: "start offset of the transaction"},
					&cli.Int64Flag{Name: "producer-id", Usage: "producer id"}, &cli.IntFlag{Name: "producer-epoch", Usage: "producer epoch"},
					&cli.IntFlag{Name: "coordinator-epoch", Usage: "coordinator epoch"}}, Required: []string{"topic", "partition"}},
			{Name: "find-hanging", Usage: "find hanging transactions", Action: connected((*tool).findHanging),
				Flags: []cli.Flag{broker(), &cli.IntFlag{Name: "max-transaction-timeout", Value: 15, Usage: "maximum transaction timeout in minutes to limit the scope of the search (15 minutes by default)"}, topic(), partition()}},
		},
	}).Command()
}

// tool is one run.
type tool struct {
	*cli.Context
	cluster *client.Cluster
}

func connected(verb func(*tool) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		cluster, err := client.ConnectTo(c, c.String("bootstrap-server"), c.String("command-config"), "adminclient-1")
		if err != nil {
			return client.Thrown(c, err)
		}
		defer cluster.Close()
		return verb(&tool{Context: c, cluster: cluster})
	}
}

// failed prints why something could not be done.
func (t *tool) failed(what string, err error) error {
	return t.refuse(fmt.Sprintf("Failed to %s: %s. Enable debug logging for additional detail.", what, err))
}

func (t *tool) refuse(message string) error {
	fmt.Fprintln(t.App.ErrWriter, message)
	return option.Exit(1)
}

// partition is what --topic and --partition name.
func (t *tool) partition() meta.TopicPartition {
	return meta.TopicPartition{Topic: t.String("topic"), Partition: int32(t.Int("partition"))}
}

// print writes rows below their heads: padded to the width of the column, and a tab behind each cell.
func (t *tool) print(head []string, rows [][]string) {
	fmt.Fprint(t.App.Writer, table(head, rows))
}

func table(head []string, rows [][]string) string {
	width := make([]int, len(head))
	rows = append([][]string{head}, rows...)
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s\t", width[i], cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// text is a number as it is printed.
func text[N int16 | int32 | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// atLeastZero is a number, or None where it is negative, which means that there is none.
func atLeastZero(n int64) string {
	if n < 0 {
		return "None"
	}
	return text(n)
}
