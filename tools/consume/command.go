package consume

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

const logger = "kraal.consume"

// Command is kafka-console-consumer.
func Command() *cli.Command {
	about := "This tool reads topics and prints their records on standard output."
	return option.Tool(&cli.Command{
		Name:  "console-consumer",
		Usage: "print the records of topics",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, `host:port,...`"},
			&cli.StringFlag{Name: "topic", Usage: "the `topic` to read"},
			&cli.StringFlag{Name: "include", Usage: "a `regex`: all topics are read whose whole name matches"},
			&cli.StringFlag{Name: "whitelist", Usage: "DEPRECATED, ignored with --include: a `regex`"},
			&cli.IntFlag{Name: "partition", Usage: "the only `partition` to read, from its end unless --offset or --from-beginning is given"},
			&cli.StringFlag{Name: "offset", Value: "latest", Usage: "where to start: an `offset`, 'earliest' or 'latest'; needs --partition"},
			&cli.BoolFlag{Name: "from-beginning", Usage: "start at the first record there is, if the group has not read before"},
			&cli.StringFlag{Name: "group", Usage: "join the consumer `group` and commit offsets"},
			&cli.IntFlag{Name: "max-messages", Usage: "end after `num_messages` records"},
			&cli.Int64Flag{Name: "timeout-ms", Usage: "end when no record has come for `timeout_ms`"},
			&cli.BoolFlag{Name: "skip-message-on-error", Usage: "leave out a record that cannot be formatted instead of ending"},
			&cli.StringFlag{Name: "isolation-level", Value: "read_uncommitted", Usage: "read_uncommitted for all records, read_committed to leave out those of open and aborted transactions"},
			&cli.StringFlag{Name: "formatter", Value: formatters + "DefaultMessageFormatter", Usage: "`class` that formats records"},
			&cli.StringSliceFlag{Name: "property", Usage: "a setting (`prop`) name=value of the formatter: print.timestamp, print.partition, print.offset, print.headers, " +
				"print.key, print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, headers.deserializer"},
			&cli.StringFlag{Name: "formatter-config", Usage: "a `file` with settings of the formatter; --property wins"},
			&cli.StringFlag{Name: "key-deserializer", Usage: "`class` that reads keys"},
			&cli.StringFlag{Name: "value-deserializer", Usage: "`class` that reads values"},
			&cli.StringSliceFlag{Name: "consumer-property", Usage: "a setting (`consumer_prop`) name=value of the consumer"},
			&cli.StringFlag{Name: "consumer.config", Usage: "a `file` with settings of the consumer; --consumer-property wins"},
			&cli.BoolFlag{Name: "enable-systest-events", Usage: "print shutdown_complete at the end"},
		},
		Action: action,
	}, about, func(c *cli.Context, e *option.ParseError) error {
		if e.Class == option.BadValue {
			return client.Uncaught(c, &client.Error{Class: e.Class, Message: e.Message})
		}
		return option.Wrong(c, e.Message)
	})
}

func action(c *cli.Context) error {
	s, err := newSettings(c)
	if err != nil {
		return err
	}
	if c.Bool("enable-systest-events") {
		defer fmt.Fprintln(c.App.Writer, "shutdown_complete")
	}
	p := &printer{settings: s, skip: c.Bool("skip-message-on-error"), out: bufio.NewWriterSize(c.App.Writer, 64<<10), err: c.App.ErrWriter,
		types: timestampTypes{bootstrap: c.String("bootstrap-server"), properties: s.properties}}
	p.signals = make(chan os.Signal, 1)
	signal.Notify(p.signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(p.signals)
	// Without this a reader that goes away would kill the process at the next write, before offsets are committed.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	return option.Exit(p.run(c.Context))
}

// printer is the loop that prints.
type printer struct {
	*settings
	skip    bool
	out     *bufio.Writer
	err     io.Writer
	types   timestampTypes
	count   int
	signals chan os.Signal // filled by the runtime; the first one counts
}

// run consumes until there is a reason to end and returns the exit code.
func (p *printer) run(ctx context.Context) int {
	conf, err := javaconfig.NewConsumer(p.properties, "console-consumer")
	if err != nil {
		p.log("ERROR", "Unknown error when running consumer: ", client.Trace(err))
		return 1
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// The source sends batches, loop receives; never closed. Some slack, so that fetching goes on while loop prints.
	batches := make(chan stream.Batch, 4)
	ended := make(chan error, 1) // the source's result, taken below or by loop
	source := p.source(conf)
	go func() { ended <- source.Run(ctx, batches) }()
	reason := p.loop(ctx, batches, ended)
	stop()
	if !errors.Is(reason, errSource) {
		signal.Stop(p.signals) // a second signal ends the process while offsets are being committed
		<-ended
	}
	if err := p.out.Flush(); err != nil && reason == nil {
		reason = errOutput
	}
	return p.explain(reason)
}

func (p *printer) source(conf *javaconfig.Consumer) stream.Source {
	o := stream.SourceOptions{Selection: p.selection, Group: p.group, Partition: p.partition, Offset: p.offset, Warn: func(message string) {
		p.log("WARN", "[Consumer clientId="+conf.Sarama.ClientID+"] "+message, "")
	}}
	if p.partition == nil {
		o.Offset = conf.Sarama.Consumer.Offsets.Initial
	}
	return stream.NewSource(conf, o)
}

// Reasons to end other than having printed enough.
var (
	errSource  = errors.New("the source has ended")
	errTimeout = errors.New("no record came in time")
	errOutput  = errors.New("nobody reads the output")
)

type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }

type formatError struct{ cause error }

func (e *formatError) Error() string { return e.cause.Error() }

func (p *printer) loop(ctx context.Context, batches <-chan stream.Batch, ended <-chan error) error {
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	for p.most < 0 || p.count < p.most {
		var b stream.Batch
		select {
		case b = <-batches:
		default: // nothing more right now: show what there is
			if p.out.Flush() != nil {
				return errOutput
			}
			timer.Reset(p.timeout)
			select {
			case b = <-batches:
			case err := <-ended:
				return errors.Join(errSource, err)
			case s := <-p.signals:
				return &signalError{s.(syscall.Signal)}
			case <-timer.C:
				return errTimeout
			}
		}
		for _, m := range b.Messages {
			if p.most >= 0 && p.count >= p.most {
				return nil
			}
			if err := p.print(ctx, m); err != nil {
				return err
			}
			if b.Consumed != nil {
				b.Consumed(m)
			}
		}
		select {
		case s := <-p.signals:
			return &signalError{s.(syscall.Signal)}
		default:
		}
	}
	return nil
}

func (p *printer) print(ctx context.Context, m *sarama.ConsumerMessage) error {
	p.count++
	timestampType := createTime
	if p.wantsTime {
		timestampType = p.types.of(ctx, m.Topic)
	}
	if err := p.formatter.write(p.out, newRecord(m, timestampType)); err != nil {
		if !p.skip {
			return &formatError{err}
		}
		p.log("ERROR", "Error processing message, skipping this message: ", trace(err))
	}
	return nil
}

// explain says why the loop has ended, and how many records there were.
func (p *printer) explain(reason error) int {
	var sig *signalError
	var format *formatError
	var named *client.Error
	total := func() { fmt.Fprintf(p.err, "Processed a total of %d messages\n", p.count) }
	switch {
	case errors.As(reason, &sig):
		total()
		return 128 + int(sig.signal)
	case errors.As(reason, &format):
		total()
		p.log("ERROR", "Unknown error when running consumer: ", trace(format.cause))
		return 1
	case errors.As(reason, &named) && named.Class == client.SASLAuthentication, errors.As(reason, &named) && named.Class == client.SSLAuthentication:
		total()
		p.log("ERROR", "Authentication failed: terminating consumer process", client.Trace(named))
		return 1
	case errors.As(reason, &named):
		p.log("ERROR", "Error processing message, terminating consumer process: ", client.Trace(named))
	case errors.Is(reason, errSource):
		p.log("ERROR", "Error processing message, terminating consumer process: ", reason.Error())
	case errors.Is(reason, errTimeout):
		p.log("ERROR", "Error processing message, terminating consumer process: ", client.TimeoutException)
	case errors.Is(reason, errOutput):
		fmt.Fprintln(p.err, "Unable to write to standard out, closing consumer.")
	}
	total()
	return 0
}

func trace(err error) string {
	var named *client.Error
	if errors.As(err, &named) {
		return client.Trace(err)
	}
	return "org.apache.kafka.common.errors.SerializationException: " + err.Error()
}

// log writes a line of the log, and below it the trace if there is one.
func (p *printer) log(level, message, trace string) {
	option.Log(p.err, level, logger, message)
	if trace != "" {
		fmt.Fprintln(p.err, trace)
	}
}
