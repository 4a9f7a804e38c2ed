package logdirs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

// Command returns kafka-log-dirs.
func Command() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "log-dirs",
		Usage: "show what the brokers' log directories hold",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
			&cli.BoolFlag{Name: "describe", Usage: "REQUIRED: describe the log directories"},
			&cli.StringFlag{Name: "topic-list", Usage: "only these `topics`, with commas between"},
			&cli.StringFlag{Name: "broker-list", Usage: "only these `brokers`, as ids with commas between"},
		},
		Action: run,
	}, "This tool helps to query log directory usage on the specified brokers.", option.Thrown)
}

func run(c *cli.Context) error {
	if err := option.Required(c, "bootstrap-server", "describe"); err != nil {
		return err
	}
	wanted, err := brokerIDs(c.String("broker-list"))
	if err != nil {
		return client.Thrown(c, err)
	}
	cluster, err := client.Connect(c, "log-dirs-tool")
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	_, live, err := cluster.Describe(c.Context, "listNodes")
	if err != nil {
		return client.Thrown(c, client.Execution(err))
	}
	if unknown := without(wanted, live); len(unknown) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "ERROR: The given brokers do not exist from --broker-list: %s. Current existent brokers: %s\n",
			join(unknown), join(live))
		return option.Exit(1)
	}
	if len(wanted) == 0 {
		wanted = live
	}
	fmt.Fprintln(c.App.Writer, "Querying brokers for log directories information")
	answers := map[int32][]sarama.DescribeLogDirsResponseDirMetadata{}
	for _, id := range wanted {
		if answers[id], err = ask(c, cluster, id); err != nil {
			return client.Thrown(c, client.Execution(err))
		}
	}
	fmt.Fprintf(c.App.Writer, "Received log directory information from brokers %s\n", join(wanted))
	return newReport(wanted, answers, split(c.String("topic-list"))).write(c.App.Writer)
}

func ask(c *cli.Context, cluster *client.Cluster, id int32) (dirs []sarama.DescribeLogDirsResponseDirMetadata, err error) {
	err = cluster.Call(c.Context, "describeLogDirs", client.Broker(id), func(n *client.Node) error {
		resp, err := n.DescribeLogDirs(&sarama.DescribeLogDirsRequest{Version: 4})
		if err != nil {
			return err
		}
		dirs = resp.LogDirs
		return client.FromKError(resp.ErrorCode, nil)
	})
	return dirs, err
}

// brokerIDs reads a list of ids, sorted and each once.
func brokerIDs(list string) ([]int32, error) {
	var ids []int32
	for _, text := range split(list) {
		id, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, &client.Error{Class: "java.lang.NumberFormatException", Message: fmt.Sprintf("For input string: %q", text)}
		}
		ids = append(ids, int32(id))
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

func without(ids, others []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return slices.Contains(others, id) })
}

func join(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return strings.Join(texts, ",")
}
