package produce

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
	"github.com/kraal-mq/kraal/tools/option"
)

const lineReader = "kafka.tools.ConsoleProducer$LineMessageReader"

// producerSettings merges options and properties: an option that was given wins over --producer-property, that over
// --producer.config, that over the option's default (ConsoleProducer.producerProps).
func producerSettings(c *cli.Context) (*javaconfig.Producer, error) {
	p, err := javaconfig.Load(c.String("producer.config"), c.StringSlice("producer-property"))
	if err != nil {
		return nil, err
	}
	p["bootstrap.servers"] = bootstrap(c)
	if codec, given := compression(c); given {
		p["compression.type"] = codec
	}
	for _, m := range []struct{ key, option string }{
		{"linger.ms", "timeout"},
		{"acks", "request-required-acks"},
		{"retries", "message-send-max-retries"},
		{"retry.backoff.ms", "retry-backoff-ms"},
		{"buffer.memory", "max-memory-bytes"},
		{"batch.size", "batch-size"},
		{"batch.size", "max-partition-memory-bytes"},
		{"metadata.max.age.ms", "metadata-expiry-ms"},
		{"max.block.ms", "max-block-ms"},
	} {
		javaconfig.Merge(c, p, m.key, m.option)
	}
	_, given := p["request.timeout.ms"]
	given = given || c.IsSet("request-timeout-ms")
	javaconfig.Merge(c, p, "request.timeout.ms", "request-timeout-ms")
	return javaconfig.NewProducer(p, "console-producer", given)
}

func bootstrap(c *cli.Context) string {
	if c.IsSet("bootstrap-server") {
		return c.String("bootstrap-server")
	}
	return c.String("broker-list")
}

// compression finds the value of --compression-codec, which may have none: then it means gzip. The flag package takes
// an option without a required value for a boolean, stops at the value and leaves it among the arguments.
func compression(c *cli.Context) (codec string, given bool) {
	if !c.IsSet("compression-codec") {
		return "", false
	}
	if codec = c.Generic("compression-codec").(*optional).value; codec != "" {
		return codec, true
	}
	args := c.Args().Slice()
	for i, arg := range args {
		if name := strings.TrimLeft(arg, "-"); name == "compression-codec" && name != arg {
			args = args[i+1:]
			break
		}
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return args[0], true
	}
	return "gzip", true
}

// optional is the value of an option that need not have one.
type optional struct{ value string }

func (o *optional) Set(s string) error {
	if s != "true" { // what the flag package gives when there is no value
		o.value = s
	}
	return nil
}

func (o *optional) String() string   { return o.value }
func (o *optional) IsBoolFlag() bool { return true }

func format(c *cli.Context) (*lineFormat, error) {
	if class := c.String("line-reader"); class != lineReader {
		return nil, &client.Error{Class: "java.lang.ClassNotFoundException", Message: class}
	}
	p, err := javaconfig.Load(c.String("reader-config"), c.StringSlice("property"))
	if err != nil {
		return nil, err
	}
	return newLineFormat(p)
}

// checkAddresses wants a port in every address (ToolsUtils.validatePortOrDie).
func checkAddresses(c *cli.Context) error {
	if _, err := javaconfig.Seeds(client.Properties{"bootstrap.servers": bootstrap(c)}); err != nil {
		return option.Wrong(c, "Please provide valid host:port like host1:9091,host2:9092\n ")
	}
	return nil
}
