package partitions

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ElectCommand returns kafka-leader-election.
func ElectCommand() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "leader-election",
		Usage: "have preferred or, at the cost of records, unclean leaders elected",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "admin.config", Usage: "properties `file` with client settings"},
			&cli.StringFlag{Name: "election-type", Usage: "REQUIRED: `type` of election: preferred (the first replica leads again if it is in sync) or " +
				"unclean (of partitions without leader, a replica that is not in sync leads, and records that only others have are lost)"},
			&cli.StringFlag{Name: "topic", Usage: "the `topic` of the partition to elect a leader for"},
			&cli.StringFlag{Name: "partition", Usage: "the partition's `id`; REQUIRED with --topic"},
			&cli.StringFlag{Name: "path-to-json-file", Usage: `JSON ` + "`file`" + ` with partitions: {"partitions":[{"topic":"foo","partition":1}]}`},
			&cli.BoolFlag{Name: "all-topic-partitions", Usage: "every partition that the type of election is for"},
		},
		Action: elect,
	}, "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are preferred replicas "+
		"and unclean replicas.", option.Thrown)
}

func elect(c *cli.Context) error {
	kind, partitions, err := electionAsked(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	cluster, err := connectForElection(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	results, err := electLeaders(c, cluster, kind, partitions)
	if err != nil {
		return electionFailed(c, err)
	}
	stdout, stderr := results.report(kind)
	fmt.Fprint(c.App.Writer, stdout)
	if stderr != "" {
		fmt.Fprint(c.App.ErrWriter, stderr)
		return option.Exit(1)
	}
	return nil
}

// electionAsked reads the options. Partitions nil means all.
func electionAsked(c *cli.Context) (kind electionType, partitions []meta.TopicPartition, err error) {
	if err := checkElection(c); err != nil {
		return 0, nil, err
	}
	if kind, err = parseElectionType(c.String("election-type")); err != nil {
		return 0, nil, err
	}
	switch {
	case c.IsSet("path-to-json-file"):
		text, err := jsonfile.Read(c.String("path-to-json-file"))
		if err != nil {
			return 0, nil, runtime(err)
		}
		partitions, err = parseElection(text)
		return kind, partitions, err
	case c.IsSet("topic"):
		id, err := strconv.ParseInt(c.String("partition"), 10, 32)
		if err != nil {
			return 0, nil, &client.Error{Class: option.BadValue, Message: "Cannot parse argument '" + c.String("partition") + "' of option partition"}
		}
		partitions = append(partitions, meta.TopicPartition{Topic: c.String("topic"), Partition: int32(id)})
	}
	return kind, partitions, nil
}

func checkElection(c *cli.Context) error {
	var missing []string
	for _, name := range []string{"bootstrap-server", "election-type"} {
		if !c.IsSet(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return commandFailed("Missing required option(s): %s", strings.Join(missing, ", "))
	}
	targets := []string{"topic", "all-topic-partitions", "path-to-json-file"}
	count := 0
	for _, name := range targets {
		if c.IsSet(name) {
			count++
		}
	}
	switch {
	case count != 1:
		return commandFailed("One and only one of the following options is required: %s", strings.Join(targets, ", "))
	case c.IsSet("topic") && !c.IsSet("partition"):
		return commandFailed("Missing required option(s): partition")
	case !c.IsSet("topic") && c.IsSet("partition"):
		return commandFailed("Option partition is only allowed if topic is used")
	}
	return nil
}

// electionTimeout is how long the tool waits altogether unless it is configured otherwise; half of it for one request.
const electionTimeout = 30 * time.Second

func connectForElection(c *cli.Context) (*client.Cluster, error) {
	p := client.Properties{}
	if file := c.String("admin.config"); file != "" {
		var err error
		if p, err = client.ReadProperties(file); err != nil {
			return nil, err
		}
	}
	for key, wait := range map[string]time.Duration{"default.api.timeout.ms": electionTimeout, "request.timeout.ms": electionTimeout / 2} {
		if _, set := p[key]; !set {
			p[key] = strconv.FormatInt(wait.Milliseconds(), 10)
		}
	}
	cluster, err := client.Open(c.String("bootstrap-server"), p, client.Options{ClientID: "adminclient-1", Log: c.App.ErrWriter})
	if err != nil {
		return nil, &client.Error{Class: client.KafkaException, Message: "Failed to create new KafkaAdminClient", Cause: err}
	}
	return cluster, nil
}

func electLeaders(c *cli.Context, cluster *client.Cluster, kind electionType, partitions []meta.TopicPartition) (*elections, error) {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType, req.TimeoutMillis = int8(kind), int32(cluster.RequestTimeout().Milliseconds())
	if partitions != nil {
		req.Topics = []kmsg.ElectLeadersRequestTopic{}
	}
	for topic, ids := range byTopic(partitions) {
		each := kmsg.NewElectLeadersRequestTopic()
		each.Topic, each.Partitions = topic, ids
		req.Topics = append(req.Topics, each)
	}
	var results *elections
	err := cluster.Call(c.Context, "electLeaders", client.Controller, func(n *client.Node) error {
		version, ok, err := n.Supports(req.Key(), 2)
		if err != nil {
			return err
		}
		if !ok || version == 0 && kind != preferred {
			return client.Unsupported("electLeaders")
		}
		answer, err := n.Request(req, version)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.ElectLeadersResponse)
		if err := client.FromCode(resp.ErrorCode, nil); err != nil {
			return err
		}
		results = sorted(resp)
		return nil
	})
	return results, err
}

// sorted sorts the answers by what they mean.
func sorted(resp *kmsg.ElectLeadersResponse) *elections {
	e := &elections{}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			tp := meta.TopicPartition{Topic: topic.Topic, Partition: p.Partition}
			switch err := client.FromCode(p.ErrorCode, p.ErrorMessage); {
			case err == nil:
				e.done = append(e.done, tp)
			case client.HasCode(err, sarama.ErrElectionNotNeeded):
				e.needless = append(e.needless, tp)
			default:
				e.failed = append(e.failed, failedElection{tp, err})
			}
		}
	}
	e.sort()
	return e
}

// electionFailed tells that there are no results. Two reasons have sentences of their own, on stdout too.
func electionFailed(c *cli.Context, err error) error {
	named := new(client.Error)
	errors.As(err, &named)
	var message string
	switch {
	case named.Class == client.TimeoutException:
		message = "Timeout waiting for election results"
		err = &client.Error{Class: jsonfile.CommandFailedException, Message: message, Cause: err}
	case client.HasCode(err, sarama.ErrClusterAuthorizationFailed):
		message = "Not authorized to perform leader election"
		err = commandFailed("%s", message)
	default:
		return client.Thrown(c, runtime(client.Execution(err)))
	}
	fmt.Fprintln(c.App.Writer, message)
	return client.Thrown(c, err)
}
