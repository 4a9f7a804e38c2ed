package configs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
)

const about = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip or client-metrics"

// Command returns kafka-configs.
func Command() *cli.Command {
	names := new(nameList)
	return option.Tool(&cli.Command{
		Name:   "configs",
		Usage:  "describe and alter configurations, quotas and SCRAM credentials",
		Flags:  flags(names),
		Action: func(c *cli.Context) error { return run(c, names) },
	}, about, option.Message)
}

func flags(names *nameList) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bootstrap-server", Usage: "the brokers to connect to, as `host:port,...`"},
		&cli.StringFlag{Name: "bootstrap-controller", Usage: "KRaft controllers to connect to, as `host:port,...`; there are none beside ZooKeeper"},
		&cli.StringFlag{Name: "zookeeper", Usage: "DEPRECATED: ZooKeeper at `host:port/chroot`, for SCRAM credentials and for brokers that are not running"},
		&cli.StringFlag{Name: "zk-tls-config-file", Usage: "properties `file` with the zookeeper.ssl.* settings for --zookeeper"},
		&cli.StringFlag{Name: "command-config", Usage: "properties `file` with client settings"},
		&cli.BoolFlag{Name: "describe", Usage: "show configurations"},
		&cli.BoolFlag{Name: "alter", Usage: "change a configuration"},
		&cli.BoolFlag{Name: "all", Usage: "describe every entry of topics, brokers and broker-loggers, not only dynamic ones"},
		&cli.StringSliceFlag{Name: "entity-type", Usage: "the `type`: topics, clients, users, brokers, broker-loggers, ips, client-metrics; users and clients go together"},
		&cli.GenericFlag{Name: "entity-name", Usage: "the `name` of the entity; once per type", Value: names.named()},
		&cli.GenericFlag{Name: "entity-default", Usage: "the default entity of clients, users, brokers or ips instead of a name", Value: names.defaulted()},
		&cli.StringFlag{Name: "topic", Usage: "the `topic`"},
		&cli.StringFlag{Name: "client", Usage: "the `client id`"},
		&cli.BoolFlag{Name: "client-defaults", Usage: "the default of all clients"},
		&cli.StringFlag{Name: "user", Usage: "the `user` principal's name"},
		&cli.BoolFlag{Name: "user-defaults", Usage: "the default of all users"},
		&cli.StringFlag{Name: "broker", Usage: "the broker's `id`"},
		&cli.BoolFlag{Name: "broker-defaults", Usage: "the default of all brokers"},
		&cli.StringFlag{Name: "broker-logger", Usage: "the `id` of the broker whose loggers are meant"},
		&cli.StringFlag{Name: "ip", Usage: "the `address`"},
		&cli.BoolFlag{Name: "ip-defaults", Usage: "the default of all addresses"},
		&cli.StringFlag{Name: "add-config", Usage: "entries to set: `k1=v1,k2=[v1,v2],...`, where brackets group values with commas"},
		&cli.StringFlag{Name: "add-config-file", Usage: "properties `file` with entries to set"},
		&cli.StringSliceFlag{Name: "delete-config", Usage: "entries to remove: `k1,k2,...`"},
		&cli.BoolFlag{Name: "force", Usage: "do not ask; there are no questions"},
	}
}

// patience is how long Kafka's tool waits for one answer.
const patience = 30 * time.Second

func run(c *cli.Context, names *nameList) error {
	e, err := newEntity(c, names)
	if err == nil {
		err = check(c, e)
	}
	if err != nil {
		return failed(c, err)
	}
	if c.IsSet("zookeeper") {
		if err := runZooKeeper(c, e); err != nil {
			return failed(c, err)
		}
		return nil
	}
	if c.IsSet("alter") && len(e.types) != len(e.names) {
		return failed(c, illegal("An entity name must be specified for every entity type"))
	}
	cluster, err := client.ConnectTo(c, c.String("bootstrap-server")+c.String("bootstrap-controller"), c.String("command-config"), "adminclient-1")
	if err != nil {
		return failed(c, err)
	}
	defer cluster.Close()
	t := &tool{Context: c, cluster: cluster}
	if c.IsSet("alter") {
		err = t.alter(e)
	} else {
		err = t.describe(e)
	}
	if err != nil {
		return failed(c, err)
	}
	return nil
}

// tool is one run of the command.
type tool struct {
	*cli.Context
	cluster *client.Cluster
}

func (t *tool) print(format string, args ...any) { fmt.Fprintf(t.App.Writer, format, args...) }

// call runs one call within Kafka's patience. A broker's refusal comes wrapped, as Java futures report it.
func (t *tool) call(name string, to client.Target, f func(*client.Node) error) error {
	ctx, cancel := context.WithTimeout(t.Context.Context, patience)
	defer cancel()
	return wrapped(t.cluster.Call(ctx, name, to, f))
}

func wrapped(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &client.Error{Class: "java.util.concurrent.TimeoutException"}
	}
	return client.Execution(err)
}

func illegal(format string, args ...any) error {
	return &client.Error{Class: client.IllegalArgument, Message: fmt.Sprintf(format, args...)}
}

// errInvalidConfig is the class of errors about configurations that the tool itself finds.
var errInvalidConfig = client.ClassOf(40)

func invalidConfigs(what string, names []string) error {
	return &client.Error{Class: errInvalidConfig, Message: what + ": " + strings.Join(names, ",")}
}

// usageError is wrong usage that is answered with the option table.
type usageError string

func (e usageError) Error() string { return string(e) }

// failed prints what the tool finds wrong itself as a message, everything else with its trace.
func failed(c *cli.Context, err error) error {
	var usage usageError
	if errors.As(err, &usage) {
		return option.Wrong(c, string(usage))
	}
	if named := new(client.Error); errors.As(err, &named) && slices.Contains([]string{client.IllegalArgument, errInvalidConfig}, named.Class) {
		fmt.Fprintln(c.App.ErrWriter, named.Message)
		return option.Exit(1)
	}
	fmt.Fprintf(c.App.ErrWriter, "Error while executing config command with args '%s'\n%s\n", strings.Join(option.Arguments(c), " "), client.Trace(err))
	return option.Exit(1)
}
