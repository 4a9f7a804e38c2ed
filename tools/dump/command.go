package dump

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/tools/option"
)

const (
	defaultMaxMessageSize = 5 << 20
	stringDecoder         = decoders + "StringDecoder"
)

// Command is kafka-dump-log.
func Command() *cli.Command {
	about := "This tool prints the files of a log directory: segments, indexes, producer snapshots, checkpoints."
	return option.Tool(&cli.Command{
		Name:  "dump-log",
		Usage: "print the files of a log directory",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "files", Usage: "REQUIRED: the `file1,file2,...` to print"},
			&cli.BoolFlag{Name: "print-data-log", Usage: "print keys and payloads of records; implied by every decoder option"},
			&cli.BoolFlag{Name: "deep-iteration", Usage: "print records, not just batches; implied by --print-data-log"},
			&cli.BoolFlag{Name: "skip-record-metadata", Usage: "print nothing but key and payload of a record"},
			&cli.BoolFlag{Name: "verify-index-only", Usage: "compare index entries with the log and print only what is wrong"},
			&cli.BoolFlag{Name: "index-sanity-check", Usage: "make only the check by which a starting broker decides whether to rebuild an index"},
			&cli.IntFlag{Name: "max-message-size", Value: defaultMaxMessageSize, Usage: "how many bytes (`size`) to look for the batch of an index entry"},
			&cli.IntFlag{Name: "max-bytes", Value: noLimit, Usage: "stop after that many bytes (`size`) of a segment"},
			&cli.StringFlag{Name: "key-decoder-class", Value: stringDecoder, Usage: "`class` that decodes keys"},
			&cli.StringFlag{Name: "value-decoder-class", Value: stringDecoder, Usage: "`class` that decodes payloads"},
			&cli.BoolFlag{Name: "offsets-decoder", Usage: "decode records of __consumer_offsets"},
			&cli.BoolFlag{Name: "transaction-log-decoder", Usage: "decode records of __transaction_state"},
		},
		Action: action,
	}, about, uncaught)
}

// uncaught prints a parse error as Kafka's tool does, which catches none.
func uncaught(c *cli.Context, e *option.ParseError) error {
	fmt.Fprintf(c.App.ErrWriter, inMain+"%s: %s\n", e.Class, e.Message)
	return option.Exit(1)
}

func action(c *cli.Context) error {
	if err := option.Required(c, "files"); err != nil {
		return err
	}
	d := &dumper{
		options: options{
			print: slices.ContainsFunc([]string{"print-data-log", "offsets-decoder", "transaction-log-decoder", "key-decoder-class",
				"value-decoder-class"}, c.IsSet),
			skipMetadata:   c.Bool("skip-record-metadata"),
			verifyOnly:     c.Bool("verify-index-only"),
			sanityOnly:     c.Bool("index-sanity-check"),
			maxMessageSize: c.Int("max-message-size"),
			maxBytes:       c.Int("max-bytes"),
		},
		out: bufio.NewWriterSize(c.App.Writer, 64<<10),
		err: c.App.ErrWriter,
		dec: record.AcquireDecompressor(),
	}
	defer d.dec.Release()
	d.deep = d.print || c.Bool("deep-iteration")
	for file := range strings.SplitSeq(c.String("files"), ",") {
		if file != "" {
			d.files = append(d.files, normalize(file))
		}
	}
	d.decoder = func() (decoder, []string, error) {
		switch {
		case c.Bool("offsets-decoder"):
			return decodeOffsets, nil, nil
		case c.Bool("transaction-log-decoder"):
			return decodeTransactions, nil, nil
		}
		return classDecoder(c.String("key-decoder-class"), c.String("value-decoder-class"))
	}
	return option.Exit(d.run())
}

// normalize drops doubled and trailing slashes from a path, as java.io.File does, and nothing else.
func normalize(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}
