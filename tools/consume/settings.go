package consume

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/javaconfig"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/tools/stream"
)

// settings are what options and properties come to. Errors that options.go's functions return have been printed.
type settings struct {
	properties client.Properties // of the consumer
	group      string            // empty: none
	selection  stream.Selection
	partition  *int32
	offset     int64
	most       int // messages, -1: no end
	timeout    time.Duration
	formatter  formatter
	wantsTime  bool
}

const forever = math.MaxInt64 * time.Nanosecond

// newSettings checks in the order of ConsoleConsumerOptions.java.
func newSettings(c *cli.Context) (*settings, error) {
	s := &settings{most: -1, timeout: forever}
	if err := checkTopic(c); err != nil {
		return nil, err
	}
	given, err := javaconfig.Load(c.String("consumer.config"), nil)
	if err != nil {
		return nil, client.Uncaught(c, err)
	}
	extra, err := javaconfig.KeyValues(c.StringSlice("consumer-property"))
	if err != nil {
		return nil, client.Uncaught(c, err)
	}
	if s.group, err = groupID(c, given, extra); err != nil {
		return nil, err
	}
	for key, value := range extra {
		given[key] = value
	}
	s.properties = given
	if err := s.complete(c); err != nil {
		return nil, err
	}
	if s.offset, err = startOffset(c); err != nil {
		return nil, err
	}
	if c.IsSet("partition") {
		p := int32(c.Int("partition"))
		s.partition = &p
	}
	if c.IsSet("max-messages") {
		s.most = c.Int("max-messages")
	}
	if ms := c.Int64("timeout-ms"); c.IsSet("timeout-ms") && ms >= 0 && ms < forever.Milliseconds() {
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	include := c.String("whitelist")
	if c.IsSet("include") {
		include = c.String("include")
	}
	if s.selection, err = stream.NewSelection(c.String("topic"), include); err != nil {
		return nil, client.Uncaught(c, err)
	}
	return s, s.buildFormatter(c)
}

func checkTopic(c *cli.Context) error {
	included := c.IsSet("include") || c.IsSet("whitelist")
	switch {
	case c.IsSet("topic") == included:
		message := "Exactly one of --include/--topic is required. "
		if c.IsSet("whitelist") {
			message += "--whitelist is DEPRECATED use --include instead; ignored if --include specified."
		}
		return option.Wrong(c, message)
	case c.IsSet("partition") && !c.IsSet("topic"):
		return option.Wrong(c, "The topic is required when partition is specified.")
	case c.IsSet("partition") && c.Bool("from-beginning") && c.IsSet("offset"):
		return option.Wrong(c, "Options from-beginning and offset cannot be specified together.")
	case !c.IsSet("partition") && c.IsSet("offset"):
		return option.Wrong(c, "The partition is required when offset is specified.")
	}
	return option.Required(c, "bootstrap-server")
}

// groupID is the group that was asked for, in one way or several, empty if in none.
func groupID(c *cli.Context, given, extra client.Properties) (string, error) {
	var ids []string
	add := func(id string, ok bool) {
		if ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(c.String("group"), c.IsSet("group"))
	for _, p := range []client.Properties{given, extra} {
		id, ok := p["group.id"]
		add(id, ok)
	}
	switch {
	case len(ids) > 1:
		return "", option.Wrong(c, "The group ids provided in different places (directly using '--group', via '--consumer-property', or via "+
			"'--consumer.config') do not match. Detected group ids: '"+strings.Join(ids, "', '")+"'")
	case len(ids) == 1 && c.IsSet("partition"):
		return "", option.Wrong(c, "Options group and partition cannot be specified together.")
	case len(ids) == 1:
		return ids[0], nil
	}
	return "", nil
}

// complete adds what the options say to the consumer's properties.
func (s *settings) complete(c *cli.Context) error {
	p := s.properties
	reset, set := p["auto.offset.reset"]
	switch {
	case set && c.Bool("from-beginning") && reset != "earliest":
		fmt.Fprintf(c.App.ErrWriter, "Can't simultaneously specify --from-beginning and 'auto.offset.reset=%s', please remove one option\n", reset)
		return option.Exit(1)
	case !set && c.Bool("from-beginning"):
		p["auto.offset.reset"] = "earliest"
	case !set:
		p["auto.offset.reset"] = "latest"
	}
	p["bootstrap.servers"] = c.String("bootstrap-server")
	javaconfig.Merge(c, p, "isolation.level", "isolation-level")
	return nil
}

// startOffset is where --partition starts.
func startOffset(c *cli.Context) (int64, error) {
	text := c.String("offset")
	switch {
	case !c.IsSet("offset") && c.Bool("from-beginning"):
		return sarama.OffsetOldest, nil
	case !c.IsSet("offset"), strings.EqualFold(text, "latest"):
		return sarama.OffsetNewest, nil
	case strings.EqualFold(text, "earliest"):
		return sarama.OffsetOldest, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, option.Wrong(c, "The provided offset value '"+text+"' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long.")
	}
	return n, nil
}

func (s *settings) buildFormatter(c *cli.Context) error {
	p, err := javaconfig.Load(c.String("formatter-config"), nil)
	if err != nil {
		return option.Wrong(c, err.Error())
	}
	for _, name := range []string{"key", "value"} {
		if class := c.String(name + "-deserializer"); class != "" {
			p[name+".deserializer"] = class
		}
	}
	over, err := javaconfig.KeyValues(c.StringSlice("property"))
	if err != nil {
		return client.Uncaught(c, err)
	}
	for key, value := range over {
		p[key] = value
	}
	class, successor := formatterClass(c.String("formatter"))
	if successor != "" {
		fmt.Fprintf(c.App.ErrWriter, "WARNING: %s is deprecated and will be removed in the next major release. Please use %s instead\n",
			c.String("formatter"), successor)
	}
	s.formatter, err = newFormatter(class, p, func(problem string) { option.Log(c.App.ErrWriter, "ERROR", logger, problem) })
	if err != nil {
		return option.Wrong(c, err.Error())
	}
	f, ok := s.formatter.(*defaultFormatter)
	s.wantsTime = ok && f.timestamp
	return nil
}
