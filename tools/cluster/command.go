package cluster

import (
	"fmt"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

// Command returns kafka-cluster.
func Command() *cli.Command {
	id := &option.Suite{
		Name:   "cluster-id",
		Usage:  "print the id of a cluster",
		Flags:  connectionFlags(),
		OneOf:  []string{"bootstrap-server", "bootstrap-controller"},
		Action: clusterID,
	}
	unregister := &option.Suite{
		Name:  "unregister",
		Usage: "unregister a broker",
		Flags: append(connectionFlags(),
			&cli.IntFlag{Name: "id", Aliases: []string{"i"}, Usage: "the broker's id"}),
		Required: []string{"id"},
		OneOf:    []string{"bootstrap-server", "bootstrap-controller"},
		Action:   unregisterBroker,
	}
	return (&option.Suite{
		Name:     "kafka-cluster",
		Usage:    "show the cluster's id",
		About:    "The Kafka cluster tool.",
		Commands: []*option.Suite{id, unregister},
	}).Command()
}

func connectionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bootstrap-server", Aliases: []string{"b"}, Usage: "the brokers to connect to, as host:port,..."},
		&cli.StringFlag{Name: "bootstrap-controller", Aliases: []string{"C"}, Usage: "KRaft controllers to connect to; there are none beside ZooKeeper"},
		&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "properties file with client settings"},
	}
}

func connect(c *cli.Context) (*client.Cluster, error) {
	return client.ConnectTo(c, c.String("bootstrap-server")+c.String("bootstrap-controller"), c.String("config"), "adminclient-1")
}

func clusterID(c *cli.Context) error {
	cluster, err := connect(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	id, _, err := cluster.Describe(c.Context, "listNodes")
	switch {
	case err != nil:
		return client.Thrown(c, client.Execution(err))
	case id == "":
		fmt.Fprintln(c.App.Writer, "No cluster ID found. The Kafka version is probably too old.")
	default:
		fmt.Fprintln(c.App.Writer, "Cluster ID: "+id)
	}
	return nil
}

func unregisterBroker(c *cli.Context) error {
	cluster, err := connect(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	defer cluster.Close()
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = int32(c.Int("id"))
	err = cluster.Call(c.Context, "unregisterBroker", client.Any, func(n *client.Node) error {
		resp, err := n.Request(req, 0)
		if err != nil {
			return err
		}
		r := resp.(*kmsg.UnregisterBrokerResponse)
		return client.FromCode(r.ErrorCode, r.ErrorMessage)
	})
	switch {
	case client.HasCode(err, sarama.ErrUnsupportedVersion):
		fmt.Fprintln(c.App.Writer, "The target cluster does not support the broker unregistration API.")
	case err != nil:
		return client.Thrown(c, client.Execution(err))
	default:
		fmt.Fprintf(c.App.Writer, "Broker %d is no longer registered.\n", req.BrokerID)
	}
	return nil
}
