package dump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/broker/record"
)

// options are what the command line asks for.
type options struct {
	files          []string
	deep           bool // print records too
	print          bool // with keys and payloads
	skipMetadata   bool // and nothing else of a record
	verifyOnly     bool
	sanityOnly     bool
	maxMessageSize int
	maxBytes       int
	decoder        func() (decode decoder, notices []string, err error) // asked for each segment, as Kafka's tool does
}

// noLimit is the default of --max-bytes, at which the end of a segment is looked at too.
const noLimit = math.MaxInt32

type dumper struct {
	options
	out      *bufio.Writer
	err      io.Writer
	dec      *record.Decompressor
	decode   decoder
	findings findings
}

// run dumps all files and returns the exit code.
func (d *dumper) run() int {
	code := 0
	for _, file := range d.files {
		fmt.Fprintf(d.out, "Dumping %s\n", file)
		if err := d.file(file); err != nil {
			d.flush()
			if !errors.Is(err, errReported) {
				fmt.Fprintln(d.err, describe(err))
			}
			code = 1
		}
	}
	if err := d.flush(); err != nil {
		return 1
	}
	d.findings.print(d.err)
	return code
}

// errReported is the failure of a file about which everything has been said.
var errReported = errors.New("reported")

// flush keeps stdout and stderr in the order in which things happened.
func (d *dumper) flush() error { return d.out.Flush() }

func (d *dumper) file(path string) error {
	name := filepath.Base(path)
	if strings.HasSuffix(name, "-offset-checkpoint") || name == "leader-epoch-checkpoint" {
		return d.checkpoint(path)
	}
	switch filepath.Ext(name) {
	case ".log":
		return d.segment(path)
	case ".index":
		return d.offsetIndex(path)
	case ".timeindex":
		return d.timeIndex(path)
	case ".txnindex":
		return d.txnIndex(path)
	case ".snapshot":
		return d.snapshot(path)
	}
	d.flush()
	fmt.Fprintf(d.err, "Ignoring unknown file %s\n", path)
	return nil
}

// baseOffset is the number a segment file is named after.
func baseOffset(name string) (int64, error) {
	digits, _, _ := strings.Cut(name, ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, &javaError{"java.lang.NumberFormatException", fmt.Sprintf("For input string: %q", digits)}
	}
	return n, nil
}

// sibling is the file of the same segment with another suffix.
func sibling(path, suffix string) string {
	digits, _, _ := strings.Cut(filepath.Base(path), ".")
	return filepath.Join(filepath.Dir(path), digits+suffix)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// javaError is a failure that Kafka's tool reports as an exception; the class is what scripts look for.
type javaError struct{ class, message string }

func (e *javaError) Error() string { return e.class + ": " + e.message }

func corruptIndex(format string, args ...any) error {
	return &javaError{"org.apache.kafka.storage.internals.log.CorruptIndexException", fmt.Sprintf(format, args...)}
}

// inMain is what Java puts before an exception that ends a program.
const inMain = `Exception in thread "main" `

func describe(err error) string {
	var java *javaError
	var path *fs.PathError
	switch {
	case errors.As(err, &java):
		return inMain + java.Error()
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist):
		return inMain + "java.nio.file.NoSuchFileException: " + path.Path
	}
	return err.Error()
}
