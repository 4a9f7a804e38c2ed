package apiversions

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

// Command returns kafka-broker-api-versions.
func Command() *cli.Command {
	return option.Tool(&cli.Command{
		Name:  "broker-api-versions",
		Usage: "show which versions of which APIs the brokers offer",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
		},
		Action: run,
	}, "This tool helps to retrieve broker version information.", func(c *cli.Context, e *option.ParseError) error {
		return client.Uncaught(c, &client.Error{Class: e.Class, Message: e.Message})
	})
}

func run(c *cli.Context) error {
	if err := option.Required(c, "bootstrap-server"); err != nil {
		return err
	}
	cluster, err := client.Connect(c, "admin-1")
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // this tool creates no KafkaAdminClient, so there is none to complain about
		}
		return client.Uncaught(c, err)
	}
	defer cluster.Close()
	var metadata *sarama.MetadataResponse
	err = cluster.Try(client.Any, func(n *client.Node) error {
		var err error
		metadata, err = n.GetMetadata(sarama.NewMetadataRequest(cluster.Config().Version, nil))
		return err
	})
	if named := new(client.Error); errors.As(err, &named) {
		return client.Uncaught(c, err)
	} else if err != nil {
		return client.Uncaught(c, &client.Error{Class: client.RuntimeException,
			Message: "Request METADATA failed on brokers List(" + seeds(c.String("bootstrap-server")) + ")"})
	}
	cluster.Note(metadata)
	slices.SortFunc(metadata.Brokers, func(a, b *sarama.Broker) int { return int(a.ID()) - int(b.ID()) })
	for _, b := range metadata.Brokers {
		fmt.Fprintf(c.App.Writer, "%s -> %s\n", node(b), describe(cluster, b.ID()))
	}
	return nil
}

// describe asks one broker. One that cannot be asked is an answer too.
func describe(cluster *client.Cluster, id int32) string {
	var offered []sarama.ApiVersionsResponseKey
	err := cluster.Try(client.Broker(id), func(n *client.Node) (err error) {
		offered, err = n.APIs()
		return err
	})
	if named := new(client.Error); errors.As(err, &named) {
		return "ERROR: " + client.Describe(err)
	} else if err != nil {
		return "ERROR: " + client.DisconnectException
	}
	return format(offered)
}

func node(b *sarama.Broker) string {
	rack := b.Rack()
	if rack == "" {
		rack = "null"
	}
	return fmt.Sprintf("%s (id: %d rack: %s)", b.Addr(), b.ID(), rack)
}

func seeds(bootstrap string) string {
	var nodes []string
	for i, address := range strings.Split(bootstrap, ",") {
		nodes = append(nodes, fmt.Sprintf("%s (id: %d rack: null)", strings.TrimSpace(address), -1-i))
	}
	return strings.Join(nodes, ", ")
}
