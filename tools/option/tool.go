package option

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// KafkaVersion is what --version prints: the Apache Kafka release whose tools these stand in for. Scripts compare it.
const KafkaVersion = "3.9.1"

// Tool makes cmd one of Kafka's joptsimple tools: it answers to kafka-NAME too, prints about and the option table on
// --help or without arguments, knows --version, and words parse errors as joptsimple does. What becomes of those differs
// between the tools: see [Message] and [Thrown].
func Tool(cmd *cli.Command, about string, fail func(*cli.Context, *ParseError) error) *cli.Command {
	if !strings.HasPrefix(cmd.Name, "kafka-") {
		cmd.Aliases = append(cmd.Aliases, "kafka-"+cmd.Name)
	}
	cmd.HideHelp = true
	cmd.Flags = append(slices.Clip(cmd.Flags),
		helpFlag("print this"),
		&cli.BoolFlag{Name: "version", Usage: "print the Apache Kafka version these tools correspond to"},
	)
	cmd.OnUsageError = func(c *cli.Context, err error, _ bool) error {
		return fail(c, joptsimple(err))
	}
	action := cmd.Action
	cmd.Action = func(c *cli.Context) error {
		if err := parseRest(c, cmd.Flags); err != nil {
			return fail(c, joptsimple(err))
		}
		switch {
		case c.IsSet("help"), c.NumFlags() == 0 && c.NArg() == 0:
			return Wrong(c, about)
		case c.Bool("version"):
			fmt.Fprintln(c.App.Writer, KafkaVersion)
			return nil
		}
		return action(c)
	}
	return cmd
}

// helpFlag is --help. It is no BoolFlag because cli prints its own help when c.Bool("help") is true.
func helpFlag(usage string, aliases ...string) cli.Flag {
	return &cli.GenericFlag{Name: "help", Aliases: aliases, Usage: usage, Value: new(present)}
}

// present is a flag without value that is read with Context.IsSet.
type present struct{}

func (*present) Set(string) error { return nil }
func (*present) String() string   { return "" }
func (*present) IsBoolFlag() bool { return true }

// Wrong prints message and the command's option table on stderr: joptsimple's answer to wrong usage, and to --help.
func Wrong(c *cli.Context, message string) error {
	fmt.Fprintln(c.App.ErrWriter, message)
	writeTable(c.App.ErrWriter, c.Command.Flags)
	return Exit(1)
}

// Arguments returns what the command was called with.
func Arguments(c *cli.Context) []string {
	if lineage := c.Lineage(); len(lineage) > 1 {
		return lineage[1].Args().Tail()
	}
	return c.Args().Slice()
}

// Required checks that all the named options were given.
func Required(c *cli.Context, names ...string) error {
	for _, name := range names {
		if !c.IsSet(name) {
			return Wrong(c, fmt.Sprintf("Missing required argument \"[%s]\"", name))
		}
	}
	return nil
}

// Excludes checks that none of the others was given with the named option.
func Excludes(c *cli.Context, name string, others ...string) error {
	if !c.IsSet(name) {
		return nil
	}
	for _, other := range others {
		if c.IsSet(other) {
			return Wrong(c, fmt.Sprintf("Option \"[%s]\" can't be used with option \"[%s]\"", name, other))
		}
	}
	return nil
}

// First returns the first error of checks.
func First(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// parseRest goes on where the flag package stopped: at the first argument that is no option. Kafka's tools ignore such
// arguments and read the options behind them.
func parseRest(c *cli.Context, flags []cli.Flag) error {
	rest := c.Args().Slice()
	for i := 0; i < len(rest); i++ {
		name, dashed := strings.CutPrefix(rest[i], "-")
		if !dashed || name == "" {
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		at := slices.IndexFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if at < 0 {
			return fmt.Errorf("flag provided but not defined: -%s", name)
		}
		if !hasValue && takesValue(flags[at]) {
			if i++; i == len(rest) {
				return fmt.Errorf("flag needs an argument: -%s", name)
			}
			value = rest[i]
		} else if !hasValue {
			value = "true"
		}
		if err := c.Set(name, value); err != nil {
			return fmt.Errorf("invalid value %q for flag -%s: %w", value, name, err)
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	if g, ok := f.(*cli.GenericFlag); ok {
		b, isBool := g.Value.(interface{ IsBoolFlag() bool })
		return !isBool || !b.IsBoolFlag()
	}
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// ParseError is an argument that could not be read, in joptsimple's words.
type ParseError struct {
	Class   string // joptsimple's name for it
	Message string
}

func (e *ParseError) Error() string { return e.Message }

// BadValue is the class of errors that joptsimple finds only when the tool asks for the value.
const BadValue = "joptsimple.OptionArgumentConversionException"

// Message is for tools that catch parse errors and print their message.
func Message(c *cli.Context, e *ParseError) error {
	fmt.Fprintln(c.App.ErrWriter, e.Message)
	return Exit(1)
}

// Thrown is for tools that print whatever is thrown: message and stack trace (without the frames).
func Thrown(c *cli.Context, e *ParseError) error {
	return Throw(c, e.Class, e.Message)
}

// Throw prints an exception as the Java tools do that catch everything.
func Throw(c *cli.Context, class, message string) error {
	fmt.Fprintf(c.App.ErrWriter, "%s\n%s: %s\n\n", message, class, message)
	return Exit(1)
}

var (
	notDefined = regexp.MustCompile(`^flag provided but not defined: -+(.*)$`)
	noArgument = regexp.MustCompile(`^flag needs an argument: -+(.*)$`)
	badValue   = regexp.MustCompile(`(?s)^invalid (?:boolean )?value "(.*)" for (?:flag )?-*([^ :]+): .*$`)
)

// joptsimple rewords an error of the flag package.
func joptsimple(err error) *ParseError {
	message := err.Error()
	if m := notDefined.FindStringSubmatch(message); m != nil {
		name, _, _ := strings.Cut(m[1], "=")
		return &ParseError{"joptsimple.UnrecognizedOptionException", name + " is not a recognized option"}
	}
	if m := noArgument.FindStringSubmatch(message); m != nil {
		return &ParseError{"joptsimple.OptionMissingRequiredArgumentException", "Option " + m[1] + " requires an argument"}
	}
	if m := badValue.FindStringSubmatch(message); m != nil {
		return &ParseError{BadValue, "Cannot parse argument '" + m[1] + "' of option " + m[2]}
	}
	return &ParseError{"joptsimple.OptionException", message}
}
