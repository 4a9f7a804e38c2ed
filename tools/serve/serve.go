// Package serve is `kraal server`: it reads server.properties, runs a broker, and stops it on a signal.
package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v2"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/sasl/jaas"
)

// Command returns the server command; as kafka-server-start it is Kafka's script of that name.
func Command() *cli.Command {
	return &cli.Command{
		Name:      "server",
		Aliases:   []string{"server-start"},
		Usage:     "run a broker",
		ArgsUsage: "server.properties",
		Description: "Runs a broker until SIGTERM or SIGINT, which stop it cleanly; a second one ends it at once.\n" +
			"Settings are Kafka's, read from the properties file; --override replaces single ones. Of KAFKA_OPTS the system\n" +
			"property -Djava.security.auth.login.config=FILE is heeded, for the login to ZooKeeper.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "override", Usage: "`property=value` to use in place of the file's; may be repeated"},
		},
		Action: run,
	}
}

func run(c *cli.Context) error {
	// Kafka's script wants the file first, and options may follow it.
	file, overrides, err := arguments(c)
	if err != nil {
		return cli.Exit("kraal server: "+err.Error(), 1)
	}
	static, warnings, err := load(file, overrides)
	if err != nil {
		message := "kraal server: " + err.Error()
		for _, w := range warnings { // one of them may be what the errors come from
			message += "\n  warning: " + w.String()
		}
		return cli.Exit(message, 1)
	}
	settings := config.NewDynamic(static, zap.NewNop()).Current()
	logging, err := broker.NewLogging(c.App.Writer, settings.Logging.Format, settings.Logging.Level)
	if err != nil {
		return cli.Exit("kraal server: "+err.Error(), 1)
	}
	log := logging.Logger("server")
	log.Info("starting kraal", zap.String("version", c.App.Version), zap.String("go", runtime.Version()), zap.Int("pid", os.Getpid()),
		zap.String("properties", file), zap.String("zookeeper", settings.ZooKeeper.Connect), zap.Strings("log_dirs", settings.Log.Dirs))
	for _, w := range warnings {
		log.Warn(w.String())
	}
	ctx, stop := untilSignal(log)
	defer stop()
	b := broker.New(broker.Options{Config: static, Version: c.App.Version, Logging: logging, Metrics: prometheus.NewRegistry(),
		System: jaas.SystemProperties(os.Getenv("KAFKA_OPTS"))})
	if err := b.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Error(strings.ReplaceAll(err.Error(), "\n", "; ")) // of several errors together, too, one line
		return cli.Exit("", 1)
	}
	return nil
}

// arguments returns the properties file and the overrides, wherever among the arguments they stand.
func arguments(c *cli.Context) (file string, overrides map[string]string, err error) {
	given := c.StringSlice("override")
	var rest []string
	for args := c.Args().Slice(); len(args) > 0; args = args[1:] {
		name, value, inline := strings.Cut(strings.TrimPrefix(args[0], "-"), "=")
		switch {
		case (name == "-override" || name == "override") && strings.HasPrefix(args[0], "-"):
			if !inline {
				if len(args) < 2 {
					return "", nil, errors.New("--override needs property=value")
				}
				args = args[1:]
				value = args[0]
			}
			given = append(given, value)
		default:
			rest = append(rest, args[0])
		}
	}
	if len(rest) != 1 {
		return "", nil, errors.New("usage: kraal server server.properties [--override property=value]...")
	}
	overrides = make(map[string]string, len(given))
	for _, g := range given {
		key, value, err := config.ParseOverride(g)
		if err != nil {
			return "", nil, err
		}
		overrides[key] = value
	}
	return rest[0], overrides, nil
}

func load(file string, overrides map[string]string) (*config.Static, []config.Warning, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	static, warnings, err := config.Load(f, overrides)
	if err != nil {
		return nil, warnings, fmt.Errorf("%s: %w", file, err)
	}
	return static, warnings, nil
}

// untilSignal returns a context that ends with the first SIGTERM or SIGINT. A second one ends the process at once.
func untilSignal(log *zap.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { // ends with the process
		s := <-signals
		log.Info("signal received, stopping; a second one ends the broker at once", zap.Stringer("signal", s))
		cancel()
		<-signals
		os.Exit(130)
	}()
	return ctx, cancel
}
