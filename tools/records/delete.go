package records

import (
	"fmt"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/jsonfile"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Command returns kafka-delete-records.
func Command() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "delete-records",
		Usage: "delete the oldest records of partitions",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "offset-json-file", Usage: `REQUIRED: JSON ` + "`file`" +
				` with the offsets to delete up to: {"partitions":[{"topic":"foo","partition":1,"offset":42}],"version":1}; -1 is the high watermark`},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
		},
		Action: run,
	}, "This tool helps to delete records of the given partitions down to the specified offset.", option.Thrown)
}

func run(c *cli.Context) error {
	if err := option.Required(c, "bootstrap-server", "offset-json-file"); err != nil {
		return err
	}
	cluster, err := client.Connect(c, "adminclient-1")
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	requests, err := readOffsets(c.String("offset-json-file"))
	if err != nil {
		return client.Thrown(c, err)
	}
	fmt.Fprintln(c.App.Writer, "Executing records delete operation")
	lowWatermarks, failures := deleteRecords(c, cluster, requests)
	fmt.Fprintln(c.App.Writer, "Records delete operation completed:")
	for _, r := range requests {
		if err := failures[r.TopicPartition]; err != nil {
			fmt.Fprintf(c.App.Writer, "partition: %s\terror: %s\n", r, client.Describe(err))
		} else {
			fmt.Fprintf(c.App.Writer, "partition: %s\tlow_watermark: %d\n", r, lowWatermarks[r.TopicPartition])
		}
	}
	return nil
}

func readOffsets(file string) ([]request, error) {
	text, err := jsonfile.Read(file)
	if err != nil {
		return nil, err
	}
	return parseOffsets(text)
}

func deleteRecords(c *cli.Context, cluster *client.Cluster, requests []request) (lowWatermarks map[meta.TopicPartition]int64, failures map[meta.TopicPartition]error) {
	offsets := map[meta.TopicPartition]int64{}
	partitions := make([]meta.TopicPartition, len(requests))
	for i, r := range requests {
		partitions[i], offsets[r.TopicPartition] = r.TopicPartition, r.offset
	}
	lowWatermarks = map[meta.TopicPartition]int64{}
	failures, err := cluster.EachLeader(c.Context, "deleteRecords", partitions,
		func(n *client.Node, partitions []meta.TopicPartition) (map[meta.TopicPartition]error, error) {
			return ask(c, cluster, n, partitions, offsets, lowWatermarks)
		})
	if err != nil {
		failures = map[meta.TopicPartition]error{}
		for _, tp := range partitions {
			if _, done := lowWatermarks[tp]; !done {
				failures[tp] = err
			}
		}
	}
	return lowWatermarks, failures
}

// ask has one leader delete and fills in the low watermarks it returns.
func ask(c *cli.Context, cluster *client.Cluster, n *client.Node, partitions []meta.TopicPartition,
	offsets, lowWatermarks map[meta.TopicPartition]int64) (map[meta.TopicPartition]error, error) {
	req := &sarama.DeleteRecordsRequest{Version: 2, Topics: map[string]*sarama.DeleteRecordsRequestTopic{}, Timeout: cluster.RequestTimeout()}
	for _, tp := range partitions {
		if req.Topics[tp.Topic] == nil {
			req.Topics[tp.Topic] = &sarama.DeleteRecordsRequestTopic{PartitionOffsets: map[int32]int64{}}
		}
		req.Topics[tp.Topic].PartitionOffsets[tp.Partition] = offsets[tp]
	}
	resp, err := n.DeleteRecords(req)
	if err != nil {
		return nil, err
	}
	outcome := map[meta.TopicPartition]error{}
	for topic, t := range resp.Topics {
		for id, p := range t.Partitions {
			tp := meta.TopicPartition{Topic: topic, Partition: id}
			outcome[tp] = client.FromKError(p.Err, nil)
			if p.Err == sarama.ErrNoError {
				lowWatermarks[tp] = p.LowWatermark
			} else if code := kerr.TypedErrorForCode(int16(p.Err)); !code.Retriable {
				option.Log(c.App.ErrWriter, "ERROR", "kraal.client", fmt.Sprintf(
					"DeleteRecords request for topic partition %s failed due to an unexpected error %s", tp, code.Message))
			}
		}
	}
	return outcome, nil
}
