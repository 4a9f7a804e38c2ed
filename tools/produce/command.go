package produce

import (
	"errors"
	"fmt"
	"io"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

const logger = "kraal.produce"

const missingServer = "Missing required option(s) [bootstrap-server]"

// Command is kafka-console-producer.
func Command() *cli.Command {
	about := "This tool reads lines from standard input and sends them to a topic."
	cmd := option.Tool(&cli.Command{
		Name:  "console-producer",
		Usage: "send lines of standard input to a topic",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "topic", Usage: "REQUIRED: the `topic` to send to"},
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED unless --broker-list is given: the brokers to connect to, `host:port,...`"},
			&cli.StringFlag{Name: "broker-list", Usage: "DEPRECATED, ignored with --bootstrap-server: the brokers, `host:port,...`"},
			&cli.BoolFlag{Name: "sync", Usage: "wait for each record's acknowledgement before sending the next"},
			&cli.GenericFlag{Name: "compression-codec", Value: &optional{}, Usage: "none, gzip (also if no codec is named), snappy, lz4 or zstd"},
			&cli.IntFlag{Name: "batch-size", Value: 16384, Usage: "bytes (`size`) of a batch; --max-partition-memory-bytes wins"},
			&cli.IntFlag{Name: "message-send-max-retries", Value: 3, Usage: "how often to send a batch again that failed"},
			&cli.Int64Flag{Name: "retry-backoff-ms", Value: 100, Usage: "how long to wait before that"},
			&cli.Int64Flag{Name: "timeout", Value: 1000, Usage: "`timeout_ms` for which a record may wait for others to share a batch"},
			&cli.StringFlag{Name: "request-required-acks", Value: "-1", Usage: "which replicas must have a record before it counts as sent: 0, 1, all or -1"},
			&cli.IntFlag{Name: "request-timeout-ms", Value: 1500, Usage: "how long the broker may wait for them"},
			&cli.Int64Flag{Name: "metadata-expiry-ms", Value: 300000, Usage: "how often to look for changes of leadership unasked"},
			&cli.Int64Flag{Name: "max-block-ms", Value: 60000, Usage: "how long to wait for a topic whose partitions are not known"},
			&cli.Int64Flag{Name: "max-memory-bytes", Value: 32 << 20, Usage: "how many bytes may be on their way"},
			&cli.IntFlag{Name: "max-partition-memory-bytes", Value: 16384, Usage: "bytes of a batch"},
			&cli.StringFlag{Name: "line-reader", Value: lineReader, Usage: "`reader_class` that reads the input; there is only the built-in one"},
			&cli.IntFlag{Name: "socket-buffer-size", Value: 102400, Usage: "accepted; the system chooses the `size`"},
			&cli.StringSliceFlag{Name: "property", Usage: "a setting (`prop`) name=value of the line reader: parse.key, key.separator, parse.headers, " +
				"headers.delimiter, headers.separator, headers.key.separator, null.marker, ignore.error"},
			&cli.StringFlag{Name: "reader-config", Usage: "a `file` with settings of the line reader; --property wins"},
			&cli.StringSliceFlag{Name: "producer-property", Usage: "a setting (`producer_prop`) name=value of the producer"},
			&cli.StringFlag{Name: "producer.config", Usage: "a `file` with settings of the producer; --producer-property wins"},
		},
		Action: action,
	}, about, func(c *cli.Context, e *option.ParseError) error {
		if e.Class == option.BadValue {
			return option.Message(c, e)
		}
		return option.Wrong(c, e.Message)
	})
	helpful := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		if c.NumFlags() == 0 && c.NArg() == 0 {
			return option.Wrong(c, missingServer)
		}
		return helpful(c)
	}
	return cmd
}

func action(c *cli.Context) error {
	if !c.IsSet("bootstrap-server") && !c.IsSet("broker-list") {
		return option.Wrong(c, missingServer)
	}
	if err := option.First(func() error { return option.Required(c, "topic") }, func() error { return checkAddresses(c) }); err != nil {
		return err
	}
	settings, err := producerSettings(c)
	if err != nil {
		return thrown(c, err)
	}
	format, err := format(c)
	if err != nil {
		return thrown(c, err)
	}
	topic := c.String("topic")
	s := stream.NewSender(settings, topic, stream.SenderOptions{
		Sync: c.Bool("sync"),
		Done: func(m *sarama.ProducerMessage, err error) {
			if err == nil {
				return
			}
			option.Log(c.App.ErrWriter, "ERROR", logger, fmt.Sprintf("Error when sending message to topic %s with key: %s, value: %s with error:",
				topic, valueSize(m.Key), valueSize(m.Value)))
			fmt.Fprintln(c.App.ErrWriter, client.Trace(err))
		},
		Warn: func(message string) {
			option.Log(c.App.ErrWriter, "WARN", logger, "[Producer clientId="+settings.Sarama.ClientID+"] "+message)
		},
	})
	in, stop := interruptible(c.App.Reader)
	p := &pump{lines: newLines(in, settings.MaxRequestSize), format: format, sender: s}
	if onTerminal(c.App.Reader) && onTerminal(c.App.Writer) {
		p.prompt = c.App.Writer
	}
	err = p.run()
	stop() // a second signal ends the process while the rest is being sent
	s.Close()
	var sig *signalError
	switch {
	case errors.As(err, &sig):
		return option.Exit(sig.code())
	case err != nil:
		return thrown(c, err)
	}
	return nil
}

// thrown prints an exception with its causes, as printStackTrace does.
func thrown(c *cli.Context, err error) error {
	fmt.Fprintln(c.App.ErrWriter, client.Trace(err))
	return option.Exit(1)
}

// pump moves lines from the input to the sender.
type pump struct {
	lines  *lines
	format *lineFormat
	sender *stream.Sender
	prompt io.Writer // nil unless somebody types
	arena  []byte
}

const arenaSize = 64 << 10

func (p *pump) run() error {
	for number := 1; ; number++ {
		if p.prompt != nil {
			io.WriteString(p.prompt, ">")
		}
		line, size, err := p.lines.next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		parsed, err := p.format.parse(p.keep(line), number)
		if err != nil {
			return err
		}
		m := newMessage(parsed)
		if size > len(line) {
			err = p.sender.Fail(m, p.sender.TooLarge(size))
		} else {
			err = p.sender.Send(m)
		}
		if err != nil {
			return client.Execution(err)
		}
	}
}

// keep copies a line out of the input buffer; many share an allocation.
func (p *pump) keep(line []byte) []byte {
	if len(p.arena) < len(line) {
		p.arena = make([]byte, max(arenaSize, len(line)))
	}
	kept := p.arena[:len(line):len(line)]
	p.arena = p.arena[len(line):]
	copy(kept, line)
	return kept
}

func newMessage(parsed message) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{}
	if parsed.key != nil {
		m.Key = sarama.ByteEncoder(parsed.key)
	}
	if parsed.value != nil {
		m.Value = sarama.ByteEncoder(parsed.value)
	}
	for _, h := range parsed.headers {
		m.Headers = append(m.Headers, sarama.RecordHeader{Key: []byte(h.key), Value: h.value})
	}
	return m
}

// valueSize is the length of a key or value as it is reported.
func valueSize(e sarama.Encoder) string {
	if e == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes", e.Length())
}
