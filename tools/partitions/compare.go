package partitions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

const verificationLog = "kraal.replica-verification"

// VerifyReplicasCommand returns kafka-replica-verification.
func VerifyReplicasCommand() *cli.Command {
	cmd := option.Tool(&cli.Command{
		Name:  "replica-verification",
		Usage: "compare what the replicas of partitions hold, until told to stop",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "broker-list", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.IntFlag{Name: "fetch-size", Value: 1 << 20, Usage: "how many `bytes` to fetch of a partition at once"},
			&cli.IntFlag{Name: "max-wait-ms", Value: 1000, Usage: "how many `ms` a fetch may wait"},
			&cli.StringFlag{Name: "topics-include", Value: ".*", Usage: "the topics, as a regular `expression`"},
			&cli.StringFlag{Name: "topic-white-list", Value: ".*", Usage: "DEPRECATED: the same, as a regular `expression`"},
			&cli.Int64Flag{Name: "time", Value: -1, Usage: "begin at the first offset at or after this `time` in milliseconds; or -1 (latest), -2 (earliest)"},
			&cli.Int64Flag{Name: "report-interval-ms", Value: 30000, Usage: "report every so many `ms`"},
		},
		Action: verifyReplicas,
	}, "Validate that all replicas for a set of topics have the same data.", option.Thrown)
	// The tool says first of all that it is deprecated, whatever it is called with.
	action, misuse := cmd.Action, cmd.OnUsageError
	cmd.Action = func(c *cli.Context) error { deprecated(c); return action(c) }
	cmd.OnUsageError = func(c *cli.Context, err error, sub bool) error { deprecated(c); return misuse(c, err, sub) }
	return cmd
}

func deprecated(c *cli.Context) {
	option.Log(c.App.ErrWriter, "WARN", verificationLog, "This tool is deprecated and may be removed in a future major release.")
}

func verifyReplicas(c *cli.Context) error {
	if err := option.Required(c, "broker-list"); err != nil {
		return err
	}
	if err := option.Excludes(c, "topics-include", "topic-white-list"); err != nil {
		return err
	}
	if err := checkAddresses(c); err != nil {
		return err
	}
	for _, name := range []string{"fetch-size", "max-wait-ms"} {
		if n := c.Int(name); n != int(int32(n)) {
			return option.Throw(c, option.BadValue, fmt.Sprintf("Cannot parse argument '%d' of option %s", n, name))
		}
	}
	wanted, err := topicFilter(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	v, err := newVerification(c, wanted)
	if err != nil {
		return client.Thrown(c, err)
	}
	defer v.close()
	if len(v.partitions) == 0 {
		option.Log(c.App.ErrWriter, "ERROR", verificationLog, "No topics found. [topics-include] if specified, is either filtering out all topics or there is no topic.")
		return option.Exit(1)
	}
	fmt.Fprintf(c.App.Writer, "%s: verification process is started\n", v.stamp())
	return v.run()
}

var address = regexp.MustCompile(`^(?:.*?://)?\[?[0-9a-zA-Z\-%._:]*\]?:[0-9]+$`) // Utils.getPort

func checkAddresses(c *cli.Context) error {
	list := c.String("broker-list")
	if strings.TrimSpace(list) == "" {
		return option.Wrong(c, "Error while validating the bootstrap address\n")
	}
	for entry := range strings.SplitSeq(strings.TrimRight(list, ","), ",") {
		if !address.MatchString(entry) {
			return option.Wrong(c, "Please provide valid host:port like host1:9091,host2:9092\n")
		}
	}
	return nil
}

func topicFilter(c *cli.Context) (func(string) bool, error) {
	expression := c.String("topics-include")
	if !c.IsSet("topics-include") {
		expression = c.String("topic-white-list")
	}
	if _, err := regexp.Compile(expression); err != nil {
		return nil, &client.Error{Class: client.RuntimeException, Message: expression + " is an invalid regex"}
	}
	return client.TopicFilter(expression)
}

// verification is one run of kafka-replica-verification.
type verification struct {
	*cli.Context
	comparison
	partitions []meta.TopicPartition           // sorted
	replicas   map[meta.TopicPartition][]int32 //
	ids        map[string]sarama.Uuid          // of topics; all zero if the topic has none
	brokers    map[int32]*client.Cluster       // each for the one goroutine that fetches from this broker
	shift      int                             // which partition is first in the next fetch
}

func newVerification(c *cli.Context, wanted func(string) bool) (*verification, error) {
	v := &verification{Context: c, comparison: comparison{now: time.Now}, replicas: map[meta.TopicPartition][]int32{}, ids: map[string]sarama.Uuid{},
		brokers: map[int32]*client.Cluster{}}
	cluster, err := v.connect()
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	metadata, err := cluster.Metadata(c.Context, "listTopics")
	if err != nil {
		return nil, client.Execution(err)
	}
	for _, t := range metadata.Topics {
		if !wanted(t.Name) {
			continue
		}
		v.ids[t.Name] = t.Uuid
		for _, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: t.Name, Partition: p.ID}
			v.partitions = append(v.partitions, tp)
			v.replicas[tp] = p.Replicas
		}
	}
	slices.SortFunc(v.partitions, meta.TopicPartition.Compare)
	if v.offsets, err = initialOffsets(c.Context, cluster, v.partitions, c.Int64("time")); err != nil {
		return nil, err
	}
	for _, replicas := range v.replicas {
		for _, id := range replicas {
			if v.brokers[id] != nil {
				continue
			}
			if v.brokers[id], err = v.connect(); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func (v *verification) connect() (*client.Cluster, error) {
	const requestTimeout = 30000
	p := client.Properties{"request.timeout.ms": strconv.Itoa(max(requestTimeout, v.Int("max-wait-ms")+requestTimeout/2))}
	cluster, err := client.Open(v.String("broker-list"), p, client.Options{ClientID: "replica-verification", Log: v.App.ErrWriter})
	if err != nil {
		return nil, &client.Error{Class: client.KafkaException, Message: "Failed to create new KafkaAdminClient", Cause: err}
	}
	return cluster, nil
}

func (v *verification) close() {
	for _, cluster := range v.brokers {
		cluster.Close()
	}
}

// run compares until the context ends or replicas have come apart.
func (v *verification) run() error {
	interval := time.Duration(v.Int64("report-interval-ms")) * time.Millisecond
	reported := v.now()
	for {
		replicas, complete := v.fetchAll()
		if v.Context.Context.Err() != nil {
			return option.Exit(interrupted)
		}
		worst, lines, err := v.compare(replicas)
		for _, line := range lines {
			fmt.Fprintln(v.App.Writer, line)
		}
		if errors.Is(err, errMismatch) {
			return option.Exit(1)
		} else if err != nil {
			return client.Thrown(v.Context, err)
		}
		if now := v.now(); now.Sub(reported) > interval {
			fmt.Fprintln(v.App.Writer, v.report(worst, len(v.partitions)))
			reported = now
		}
		if !complete && v.pause() != nil {
			return option.Exit(interrupted)
		}
	}
}

// pause keeps the tool from asking the others over and over again while a broker is away.
func (v *verification) pause() error {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-v.Context.Context.Done():
		return v.Context.Context.Err()
	case <-timer.C:
		return nil
	}
}

// fetchAll fetches from all brokers at once. A broker that cannot be asked has nothing, and the answer is not complete.
func (v *verification) fetchAll() (replicas map[meta.TopicPartition]map[int32]fetched, complete bool) {
	order := slices.Concat(v.partitions[v.shift:], v.partitions[:v.shift])
	v.shift = (v.shift + 1) % len(v.partitions)
	asked := slices.Sorted(maps.Keys(v.brokers))
	answers := make([]map[meta.TopicPartition]fetched, len(asked))
	failures := make([]error, len(asked))
	var fetchers sync.WaitGroup
	for i, id := range asked {
		fetchers.Go(func() { answers[i], failures[i] = v.fetch(id, order) })
	}
	fetchers.Wait()
	complete = true
	replicas = map[meta.TopicPartition]map[int32]fetched{}
	for _, tp := range v.partitions {
		replicas[tp] = map[int32]fetched{}
		for _, id := range v.replicas[tp] {
			f, ok := answers[slices.Index(asked, id)][tp]
			if !ok {
				f.hw = -1
			}
			replicas[tp][id] = f
		}
	}
	for i, id := range asked {
		if failures[i] != nil {
			complete = false
			if named := new(client.Error); errors.As(failures[i], &named) {
				option.Log(v.App.ErrWriter, "WARN", verificationLog, fmt.Sprintf("Broker %d does not let us fetch: %s", id, failures[i]))
			}
		}
	}
	return replicas, complete
}

// initialOffsets asks leaders where to begin. Where nothing is as young as the time asked for, it is at the end.
func initialOffsets(ctx context.Context, cluster *client.Cluster, partitions []meta.TopicPartition, timestamp int64) (map[meta.TopicPartition]int64, error) {
	offsets := map[meta.TopicPartition]int64{}
	failed, err := cluster.EachLeader(ctx, "listOffsets", partitions, func(n *client.Node, led []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
		req := &sarama.OffsetRequest{Version: 5}
		for _, tp := range led {
			req.AddBlock(tp.Topic, tp.Partition, timestamp, 1)
		}
		resp, err := n.GetAvailableOffsets(req)
		if err != nil {
			return nil, err
		}
		outcome := map[meta.TopicPartition]error{}
		for topic, blocks := range resp.Blocks {
			for id, b := range blocks {
				tp := meta.TopicPartition{Topic: topic, Partition: id}
				outcome[tp] = client.FromKError(b.Err, nil)
				offsets[tp] = b.Offset
			}
		}
		return outcome, nil
	})
	if err != nil {
		return nil, err
	}
	for _, tp := range partitions {
		if failed[tp] != nil {
			return nil, failed[tp]
		}
	}
	var beyond []meta.TopicPartition
	for _, tp := range partitions {
		if offsets[tp] < 0 && timestamp >= 0 {
			beyond = append(beyond, tp)
		}
	}
	if len(beyond) > 0 {
		ends, err := initialOffsets(ctx, cluster, beyond, sarama.OffsetNewest)
		if err != nil {
			return nil, err
		}
		maps.Copy(offsets, ends)
	}
	return offsets, nil
}
