package perf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

const logger = "kraal.perf"

// ProduceCommand is kafka-producer-perf-test.
func ProduceCommand() *cli.Command {
	suite := &option.Suite{
		Name:  "producer-performance", // what its messages call it
		Usage: "measure how fast records can be sent",
		About: "This tool sends records and measures how fast they are acknowledged.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "topic", Usage: "send records to this topic"},
			&cli.Int64Flag{Name: "num-records", Usage: "how many records to send"},
			&cli.StringFlag{Name: "payload-delimiter", Value: `\n`, Usage: "what separates records in the file of --payload-file, a regular expression (default: \\n)"},
			&cli.Float64Flag{Name: "throughput", Usage: "how many records to send in a second at most; -1 for no limit"},
			&cli.StringSliceFlag{Name: "producer-props", Usage: "settings NAME=VALUE of the producer, as many as you like; they win over --producer.config"},
			&cli.StringFlag{Name: "producer.config", Usage: "a file with settings of the producer"},
			&cli.BoolFlag{Name: "print-metrics", Usage: "print the client's metrics at the end"},
			&cli.StringFlag{Name: "transactional-id", Value: "performance-producer-default-transactional-id", Usage: "the transactional id, if --transaction-duration-ms is above 0"},
			&cli.Int64Flag{Name: "transaction-duration-ms", Usage: "commit a transaction after this time; 0: no transactions"},
			&cli.IntFlag{Name: "record-size", Usage: "send random letters, this many in a record"},
			&cli.StringFlag{Name: "payload-file", Usage: "send records out of this file, chosen by chance"},
			&cli.BoolFlag{Name: "payload-monotonic", Usage: "send the number of each record"},
		},
		Required: []string{"topic", "num-records", "throughput"},
		OneOf:    []string{"record-size", "payload-file", "payload-monotonic"},
	}
	suite.Action = func(c *cli.Context) error {
		if !c.IsSet("producer-props") && !c.IsSet("producer.config") {
			return c.Command.OnUsageError(c, errors.New("Either --producer-props or --producer.config must be specified."), false)
		}
		return produce(c, suite.Flags)
	}
	cmd := suite.Command()
	cmd.Name, cmd.Aliases = "producer-perf-test", []string{"kafka-producer-perf-test"}
	checked := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		if c.NumFlags() == 0 && c.NArg() == 0 { // help, but nothing has gone wrong
			if err := c.Set("help", "true"); err != nil {
				return err
			}
			_ = checked(c) // an exit code of 1
			return nil
		}
		return checked(c)
	}
	return cmd
}

// producerProps are the values of --producer-props. The flag package takes the first one only and leaves the others
// among the arguments.
func producerProps(c *cli.Context, flags []cli.Flag) []string {
	props := c.StringSlice("producer-props")
	rest := c.Args().Slice()
	for i := 0; i < len(rest); i++ {
		name, dashed := strings.CutPrefix(rest[i], "-")
		if !dashed {
			props = append(props, rest[i])
			continue
		}
		name = strings.TrimPrefix(name, "-")
		takesValue := slices.ContainsFunc(flags, func(f cli.Flag) bool {
			_, isBool := f.(*cli.BoolFlag)
			return slices.Contains(f.Names(), name) && !isBool
		})
		if takesValue {
			i++
		}
	}
	return props
}

func produce(c *cli.Context, flags []cli.Flag) error {
	given := producerProps(c, flags)
	for _, prop := range given {
		if strings.Count(prop, "=") != 1 || strings.HasSuffix(prop, "=") {
			return client.Uncaught(c, &client.Error{Class: client.IllegalArgument, Message: "Invalid property: " + prop})
		}
	}
	next := payload(monotonic)
	var err error
	switch {
	case c.IsSet("record-size"):
		next = random(max(c.Int("record-size"), 0))
	case c.IsSet("payload-file"):
		if next, err = fromFile(c.String("payload-file"), c.String("payload-delimiter"), c.App.Writer); err != nil {
			return client.Uncaught(c, err)
		}
	}
	p, err := javaconfig.Load(c.String("producer.config"), given)
	if err != nil {
		return client.Uncaught(c, err)
	}
	duration := time.Duration(c.Int64("transaction-duration-ms")) * time.Millisecond
	if duration > 0 {
		p["transactional.id"] = c.String("transactional-id")
	}
	_, requestTimeout := p["request.timeout.ms"]
	settings, err := javaconfig.NewProducer(p, "perf-producer-client", requestTimeout)
	if err != nil {
		return client.Uncaught(c, err)
	}
	l := &load{records: c.Int64("num-records"), next: next, throttle: throttle{c.Float64("throughput"), time.Now()}, transaction: duration,
		stats: newStats(c.Int64("num-records"), c.App.Writer, time.Now)}
	sender := stream.NewSender(settings, c.String("topic"), stream.SenderOptions{
		Done: func(m *sarama.ProducerMessage, err error) {
			if err != nil {
				fmt.Fprintln(c.App.ErrWriter, client.Trace(err))
				return
			}
			l.stats.record(m.Timestamp, m.Value.Length())
		},
		Warn: func(message string) {
			option.Log(c.App.ErrWriter, "WARN", logger, "[Producer clientId="+settings.Sarama.ClientID+"] "+message)
		},
	})
	err = l.run(c, sender)
	sender.Flush()
	measured := collect(settings.Sarama.MetricRegistry, "producer-metrics", settings.Sarama.ClientID)
	sender.Close()
	if err != nil {
		return client.Uncaught(c, err)
	}
	l.stats.total()
	if c.Bool("print-metrics") {
		printMetrics(c.App.Writer, measured)
	}
	return nil
}

// load is the loop that sends.
type load struct {
	records     int64
	next        payload
	throttle    throttle
	transaction time.Duration // 0: none
	stats       *stats
}

type sender interface {
	Send(*sarama.ProducerMessage) error
	Begin() error
	Commit() error
}

func (l *load) run(c *cli.Context, s sender) error {
	var began time.Time // of the open transaction, zero if none is
	for i := range l.records {
		value := l.next(i)
		if l.transaction > 0 && began.IsZero() {
			if err := s.Begin(); err != nil {
				return err
			}
			began = time.Now()
		}
		now := time.Now()
		if err := s.Send(&sarama.ProducerMessage{Value: sarama.ByteEncoder(value), Timestamp: now}); err != nil {
			return err
		}
		if l.transaction > 0 && now.Sub(began) >= l.transaction {
			if err := s.Commit(); err != nil {
				return err
			}
			began = time.Time{}
		}
		if d := l.throttle.pause(i+1, time.Now()); d > 0 {
			select {
			case <-time.After(d):
			case <-c.Done():
				return c.Err()
			}
		}
	}
	if !began.IsZero() {
		return s.Commit()
	}
	return nil
}
