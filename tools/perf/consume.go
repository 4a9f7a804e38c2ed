package perf

import (
	"context"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

const missingServer = "Missing required option(s) [bootstrap-server]"

// ConsumeCommand is kafka-consumer-perf-test.
func ConsumeCommand() *cli.Command {
	cmd := option.Tool(&cli.Command{
		Name:  "consumer-perf-test",
		Usage: "measure how fast records can be read",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED unless --broker-list is given: the brokers to connect to, `host:port,...`"},
			&cli.StringFlag{Name: "broker-list", Usage: "DEPRECATED, ignored with --bootstrap-server: the brokers, `host:port,...`"},
			&cli.StringFlag{Name: "topic", Usage: "REQUIRED: the `topic` to read"},
			&cli.Int64Flag{Name: "messages", Usage: "REQUIRED: how many records to read (`count`)"},
			&cli.StringFlag{Name: "group", Usage: "join the consumer group `gid`"},
			&cli.IntFlag{Name: "fetch-size", Value: 1 << 20, Usage: "bytes (`size`) to fetch of a partition at a time"},
			&cli.BoolFlag{Name: "from-latest", Usage: "start at the end instead of the beginning, if the group has not read before"},
			&cli.IntFlag{Name: "socket-buffer-size", Value: 2 << 20, Usage: "accepted; the system chooses the `size`"},
			&cli.IntFlag{Name: "threads", Value: 10, Usage: "DEPRECATED AND IGNORED (`count`)"},
			&cli.IntFlag{Name: "num-fetch-threads", Value: 1, Usage: "DEPRECATED AND IGNORED (`count`)"},
			&cli.StringFlag{Name: "consumer.config", Usage: "a `file` with settings of the consumer"},
			&cli.BoolFlag{Name: "print-metrics", Usage: "print the client's metrics at the end"},
			&cli.BoolFlag{Name: "show-detailed-stats", Usage: "print a row for each interval instead of one for all"},
			&cli.Int64Flag{Name: "timeout", Value: 10000, Usage: "end when no record has come for so many `milliseconds`"},
			&cli.StringFlag{Name: "reporting-interval", Value: "5000", Usage: "`interval_ms` of --show-detailed-stats"},
			&cli.StringFlag{Name: "date-format", Value: "yyyy-MM-dd HH:mm:ss:SSS", Usage: "how to print times, a `pattern` of java.text.SimpleDateFormat"},
			&cli.BoolFlag{Name: "hide-header", Usage: "do not print the names of the columns"},
		},
		Action: consume,
	}, "This tool reads a topic and measures how fast.", func(c *cli.Context, e *option.ParseError) error { return option.Wrong(c, e.Message) })
	helpful := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		if c.NumFlags() == 0 && c.NArg() == 0 {
			return option.Wrong(c, missingServer)
		}
		return helpful(c)
	}
	return cmd
}

var digits = regexp.MustCompile(`^\d{1,15}$`)

func consume(c *cli.Context) error {
	if !c.IsSet("bootstrap-server") && !c.IsSet("broker-list") {
		return option.Wrong(c, missingServer)
	}
	if c.IsSet("threads") || c.IsSet("num-fetch-threads") {
		fmt.Fprintln(c.App.Writer, "WARNING: option [threads] and [num-fetch-threads] have been deprecated and will be ignored by the test")
	}
	if err := option.Required(c, "topic", "messages"); err != nil {
		return err
	}
	if !digits.MatchString(c.String("reporting-interval")) {
		return option.Wrong(c, "Cannot parse argument '"+c.String("reporting-interval")+"' of option reporting-interval")
	}
	var interval int64
	fmt.Sscan(c.String("reporting-interval"), &interval) // digits, few enough for an int64
	if interval == 0 {
		return client.Thrown(c, &client.Error{Class: client.IllegalArgument, Message: "Reporting interval must be greater than 0."})
	}
	settings, err := consumerSettings(c)
	if err != nil {
		return client.Thrown(c, err)
	}
	if !c.Bool("hide-header") {
		header(c.App.Writer, c.Bool("show-detailed-stats"))
	}
	r := &reading{most: c.Int64("messages"), timeout: time.Duration(c.Int64("timeout")) * time.Millisecond,
		interval: time.Duration(interval) * time.Millisecond, detailed: c.Bool("show-detailed-stats")}
	r.out, r.format, r.start = c.App.Writer, layout(c.String("date-format")), time.Now()
	r.reported.at = r.start
	err = r.run(c.Context, c, settings)
	end := time.Now()
	if err != nil {
		return client.Thrown(c, err)
	}
	if r.messages < r.most {
		fmt.Fprintf(c.App.Writer, "WARNING: Exiting before consuming the expected number of messages: timeout (%d ms) exceeded. "+
			"You can use the --timeout option to increase the timeout.\n", c.Int64("timeout"))
	}
	if !r.detailed {
		r.total(end)
	}
	if c.Bool("print-metrics") {
		printMetrics(c.App.Writer, r.measured)
	}
	return nil
}

func consumerSettings(c *cli.Context) (*javaconfig.Consumer, error) {
	p, err := javaconfig.Load(c.String("consumer.config"), nil)
	if err != nil {
		return nil, err
	}
	p["bootstrap.servers"] = c.String("broker-list")
	if c.IsSet("bootstrap-server") {
		p["bootstrap.servers"] = c.String("bootstrap-server")
	}
	p["max.partition.fetch.bytes"] = fmt.Sprint(c.Int("fetch-size"))
	p["auto.offset.reset"] = "earliest"
	if c.Bool("from-latest") {
		p["auto.offset.reset"] = "latest"
	}
	return javaconfig.NewConsumer(p, "perf-consumer-client")
}

// reading is the loop that reads.
type reading struct {
	progress
	most     int64
	timeout  time.Duration
	interval time.Duration
	detailed bool
	measured []metric
}

func (r *reading) run(ctx context.Context, c *cli.Context, settings *javaconfig.Consumer) error {
	selection, err := stream.NewSelection(c.String("topic"), "")
	if err != nil {
		return err
	}
	var joined atomic.Int64 // milliseconds, not yet taken into account
	source := stream.NewSource(settings, stream.SourceOptions{
		Selection: selection,
		Group:     c.String("group"),
		Offset:    settings.Sarama.Consumer.Offsets.Initial,
		Assigned: func() {
			joined.CompareAndSwap(0, max(time.Since(r.start).Milliseconds(), 1)) // the first round; later ones are not timed
		},
		Warn: func(message string) {
			option.Log(c.App.ErrWriter, "WARN", logger, "[Consumer clientId="+settings.Sarama.ClientID+"] "+message)
		},
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The source sends batches, loop receives; never closed. Some slack, so that neither waits for the other.
	batches := make(chan stream.Batch, 16)
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx, batches) }()
	err, over := r.loop(batches, ended, func() time.Duration { return time.Duration(joined.Load()) * time.Millisecond })
	r.measured = collect(settings.Sarama.MetricRegistry, "consumer-metrics", settings.Sarama.ClientID)
	if !over {
		stop()
		<-ended
	}
	return err
}

// loop reads until there was enough or nothing came in time; over says that the source has ended, for the reason err.
func (r *reading) loop(batches <-chan stream.Batch, ended <-chan error, joined func() time.Duration) (err error, over bool) {
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	for r.messages < r.most {
		select {
		case b := <-batches:
			now := time.Now()
			timer.Reset(r.timeout)
			for _, m := range b.Messages {
				r.messages++
				r.bytes += int64(len(m.Key) + len(m.Value))
				if b.Consumed != nil {
					b.Consumed(m)
				}
			}
			if j := joined(); r.joining == 0 && j > 0 {
				r.joining, r.round = j, j
			}
			if now.Sub(r.reported.at) >= r.interval {
				r.endInterval(now, r.detailed)
			}
		case err := <-ended:
			return err, true
		case <-timer.C:
			return nil, false
		}
	}
	return nil, false
}
