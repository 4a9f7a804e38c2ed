//go:build interop

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// javaConsole is the console producer and consumer of an Apache Kafka release.
func javaConsole(version string) client {
	j := &java{version: version}
	return client{name: "java-" + version, limits: limits{text: true}, missing: j.missing, produce: j.produce, consume: j.consume}
}

type java struct{ version string }

func (j *java) missing(e *environment) string {
	if jars, _ := filepath.Glob(filepath.Join(j.libs(e), "kafka-clients-*.jar")); len(jars) == 0 {
		return "no jars in " + j.libs(e)
	}
	return found("java")
}

func (j *java) libs(e *environment) string { return filepath.Join(e.tools, "kafka-"+j.version) }

// class finds the tool: the producer has moved in Kafka 4.
func (j *java) class(tool string) string {
	switch {
	case tool == "consumer":
		return "org.apache.kafka.tools.consumer.ConsoleConsumer"
	case strings.HasPrefix(j.version, "4"):
		return "org.apache.kafka.tools.ConsoleProducer"
	}
	return "kafka.tools.ConsoleProducer"
}

func (j *java) command(ctx context.Context, e *environment, tool string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "java", append([]string{"-Xmx384m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", j.libs(e) + "/*", j.class(tool), "--bootstrap-server", e.bootstrap}, args...)...)
}

func (j *java) produce(ctx context.Context, e *environment, topic, codec string, records []record) error {
	var in bytes.Buffer
	for _, r := range records {
		headers := "NULL"
		if len(r.headers) > 0 {
			var pairs []string
			for _, h := range r.headers {
				pairs = append(pairs, h.key+":"+string(h.value))
			}
			headers = strings.Join(pairs, ",")
		}
		fmt.Fprintf(&in, "%s\t%s\t%s\n", headers, orNull(r.key), orNull(r.value))
	}
	// The tool's own time for an answer, 1.5 s, is short for a busy machine.
	args := []string{"--topic", topic, "--compression-codec", codec, "--request-timeout-ms", "30000"}
	cmd := j.command(ctx, e, "producer", j.properties(args, "--reader-property", "parse.key=true", "parse.headers=true", "null.marker=NULL")...)
	cmd.Stdin = &in
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("ERROR")) { // it exits with 0 when records could not be sent
		err = errors.New("records were not sent")
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out))
	}
	return nil
}

func orNull(b []byte) string {
	if b == nil {
		return "NULL"
	}
	return string(b)
}

func (j *java) consume(ctx context.Context, e *environment, topic string, count int) ([]placed, error) {
	ends, err := endOffsets(ctx, e, topic)
	if err != nil {
		return nil, err
	}
	var got []placed
	for p, end := range ends { // without --partition it would join a group
		args := []string{"--topic", topic, "--partition", fmt.Sprint(p), "--offset", "earliest", "--max-messages", fmt.Sprint(end), "--timeout-ms", "60000"}
		cmd := j.command(ctx, e, "consumer", j.properties(args, "--formatter-property", "print.partition=true", "print.offset=true", "print.headers=true",
			"print.key=true", "null.literal=NULL")...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			return got, fmt.Errorf("%w: %s", err, tail(errs.Bytes()))
		}
		for line := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\n")), []byte("\n")) {
			r, err := parseConsoleLine(line)
			if err != nil {
				return got, fmt.Errorf("partition %d: %w\n%s", p, err, tail(errs.Bytes()))
			}
			got = append(got, r)
		}
	}
	if len(got) != count {
		return got, fmt.Errorf("%d records of %d", len(got), count)
	}
	return got, nil
}

// properties adds settings of the reader or formatter. The option was called --property until Kafka 4.
func (j *java) properties(args []string, option string, settings ...string) []string {
	if !strings.HasPrefix(j.version, "4") {
		option = "--property"
	}
	for _, s := range settings {
		args = append(args, option, s)
	}
	return args
}

func endOffsets(ctx context.Context, e *environment, topic string) ([]int64, error) {
	c, err := kgo.NewClient(kgo.SeedBrokers(e.bootstrap))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	listed, err := kadm.NewClient(c).ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, partitions)
	for p := range ends {
		o, ok := listed.Lookup(topic, int32(p))
		if !ok || o.Err != nil {
			return nil, fmt.Errorf("end of partition %d: %w", p, o.Err)
		}
		ends[p] = o.Offset
	}
	return ends, nil
}

// parseConsoleLine reads Partition:0⇥Offset:5⇥h:v,h:v or NO_HEADERS⇥key⇥value.
func parseConsoleLine(line []byte) (placed, error) {
	var r placed
	fields := bytes.SplitN(line, []byte("\t"), 5)
	if len(fields) != 5 {
		return r, fmt.Errorf("malformed line %.100q", line)
	}
	if _, err := fmt.Sscanf(string(fields[0])+" "+string(fields[1]), "Partition:%d Offset:%d", &r.partition, &r.offset); err != nil {
		return r, fmt.Errorf("malformed line %.100q: %w", line, err)
	}
	if text := string(fields[2]); text != "NO_HEADERS" {
		for pair := range strings.SplitSeq(text, ",") {
			key, value, _ := strings.Cut(pair, ":")
			r.headers = append(r.headers, header{key, []byte(value)})
		}
	}
	null := func(b []byte) []byte {
		if string(b) == "NULL" {
			return nil
		}
		return b
	}
	r.key, r.value = null(fields[3]), null(fields[4])
	return r, nil
}
