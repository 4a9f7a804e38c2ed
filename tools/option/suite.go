package option

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Suite is one of Kafka's argparse4j tools, or a sub-command of one.
type Suite struct {
	Name     string // for the tool itself, the name its messages show: kafka-cluster
	Usage    string // one line for the list of commands
	About    string // printed by --help below the usage
	Flags    []cli.Flag
	Required []string // flags that must be given
	OneOf    []string // flags of which exactly one must be given
	Commands []*Suite // the tool is given the name of one
	Action   cli.ActionFunc

	parent *Suite
	tool   string // name of the tool that this is part of
	prefix string // what precedes the arguments: the tool and its sub-command
}

// Command makes the cli command. Its name is the tool's without kafka-, which becomes an alias.
func (s *Suite) Command() *cli.Command {
	s.tool, s.prefix = s.Name, s.Name
	cmd := s.build()
	cmd.Name, cmd.Aliases = strings.TrimPrefix(s.Name, "kafka-"), []string{s.Name}
	return cmd
}

func (s *Suite) build() *cli.Command {
	cmd := &cli.Command{
		Name:            s.Name,
		Usage:           s.Usage,
		Flags:           append([]cli.Flag{helpFlag("show this help message and exit", "h")}, s.Flags...),
		HideHelp:        true,
		HideHelpCommand: true,
		OnUsageError: func(c *cli.Context, err error, _ bool) error {
			return s.wrong(c, s.argparse(err))
		},
		Action: s.run,
	}
	for _, sub := range s.Commands {
		sub.parent, sub.tool, sub.prefix = s, s.tool, s.prefix+" "+sub.Name
		cmd.Subcommands = append(cmd.Subcommands, sub.build())
	}
	return cmd
}

// run is reached when no sub-command was.
func (s *Suite) run(c *cli.Context) error {
	if c.IsSet("help") {
		s.help(c.App.Writer)
		return Exit(1)
	}
	if len(s.Commands) > 0 {
		if c.Bool("version") {
			fmt.Fprintln(c.App.Writer, KafkaVersion)
			return nil
		}
		if !c.Args().Present() {
			return s.wrong(c, "too few arguments")
		}
		return s.wrong(c, fmt.Sprintf("invalid choice: '%s' (choose from '%s')", c.Args().First(), strings.Join(s.commandNames(), "', '")))
	}
	if err := parseRest(c, s.Flags); err != nil {
		return s.wrong(c, s.argparse(err))
	}
	if s.parent != nil {
		if message := s.parent.check(c); message != "" {
			return s.parent.wrong(c, message)
		}
	}
	if message := s.check(c); message != "" {
		return s.wrong(c, message)
	}
	return s.Action(c)
}

// check returns what is wrong with the flags given, if anything.
func (s *Suite) check(c *cli.Context) string {
	for _, name := range s.Required {
		if !c.IsSet(name) {
			return fmt.Sprintf("argument %s is required", s.spell(name))
		}
	}
	given := slices.DeleteFunc(slices.Clone(s.OneOf), func(name string) bool { return !c.IsSet(name) })
	switch {
	case len(given) > 1:
		return fmt.Sprintf("argument %s: not allowed with argument %s", s.spell(given[1]), s.spell(given[0]))
	case len(given) == 0 && len(s.OneOf) > 0:
		all := make([]string, len(s.OneOf))
		for i, name := range s.OneOf {
			all[i] = s.spell(name)
		}
		return fmt.Sprintf("one of the arguments %s is required", strings.Join(all, " "))
	}
	return ""
}

// wrong prints the usage and message on stderr: argparse4j's answer to wrong usage.
func (s *Suite) wrong(c *cli.Context, message string) error {
	fmt.Fprintf(c.App.ErrWriter, "%s\n%s: error: %s\n", s.usage(), s.tool, message)
	return Exit(1)
}

// argparse rewords an error of the flag package.
func (s *Suite) argparse(err error) string {
	message := err.Error()
	if m := notDefined.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("unrecognized arguments: '--%s'", m[1])
	}
	if m := noArgument.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("argument %s: expected one argument", s.spell(m[1]))
	}
	if m := badValue.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("argument %s: could not convert '%s' to Integer (For input string: \"%s\")", s.spell(m[2]), m[1], m[1])
	}
	return message
}

// spell returns all the names of a flag: --id/-i.
func (s *Suite) spell(name string) string {
	for _, f := range s.Flags {
		if slices.Contains(f.Names(), name) {
			return strings.Join(dashed(f), "/")
		}
	}
	return "--" + name
}

func dashed(f cli.Flag) []string {
	var names []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			names = append(names, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	return names
}

func (s *Suite) commandNames() []string {
	names := make([]string, len(s.Commands))
	for i, sub := range s.Commands {
		names[i] = sub.Name
	}
	return names
}

const suiteWidth = 75

// usage is the line, or lines, that show how to call it.
func (s *Suite) usage() string {
	tokens := []string{"[-h]"}
	for _, f := range s.Flags {
		name := f.Names()[0]
		text := dashed(f)[0]
		if takesValue(f) {
			text += " " + metavar(name)
		}
		switch i := slices.Index(s.OneOf, name); {
		case i < 0 && !slices.Contains(s.Required, name):
			tokens = append(tokens, "["+text+"]")
		case i < 0:
			tokens = append(tokens, text)
		}
	}
	for i, name := range s.OneOf {
		text := "--" + name + " " + metavar(name)
		if i == 0 {
			text = "(" + text
		}
		if i == len(s.OneOf)-1 {
			text += ")"
		} else {
			text += " |"
		}
		tokens = append(tokens, text)
	}
	if len(s.Commands) > 0 {
		tokens = append(tokens, "{"+strings.Join(s.commandNames(), ",")+"}", "...")
	}
	return fold("usage: "+s.prefix, tokens, len("usage: "+s.tool+" "))
}

func fold(line string, tokens []string, indent int) string {
	var b strings.Builder
	for _, token := range tokens {
		if len(line)+1+len(token) > suiteWidth {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", indent-1)
		}
		line += " " + token
	}
	return b.String() + line
}

func metavar(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

func (s *Suite) help(w io.Writer) {
	fmt.Fprintln(w, s.usage())
	if s.About != "" {
		fmt.Fprintf(w, "\n%s\n", s.About)
	}
	if len(s.Commands) > 0 {
		fmt.Fprintf(w, "\npositional arguments:\n  {%s}\n", strings.Join(s.commandNames(), ","))
		for _, sub := range s.Commands {
			writeArgument(w, "    "+sub.Name, sub.Usage)
		}
	}
	fmt.Fprint(w, "\noptional arguments:\n")
	writeArgument(w, "  -h, --help", "show this help message and exit")
	for _, f := range s.Flags {
		names := dashed(f)
		if takesValue(f) {
			for i := range names {
				names[i] += " " + metavar(f.Names()[0])
			}
		}
		d, _ := f.(cli.DocGenerationFlag)
		_, usage := unquote(d.GetUsage())
		writeArgument(w, "  "+strings.Join(names, ", "), usage)
	}
}

// writeArgument writes one entry of a help text: the description starts in column 25, below the name if that is long.
func writeArgument(w io.Writer, name, description string) {
	const column = 25
	if len(name) > column-2 {
		fmt.Fprintln(w, name)
		name = ""
	}
	for i, line := range wrap(description, suiteWidth-column) {
		if i > 0 {
			name, line = "", strings.TrimSpace(line)
		}
		fmt.Fprintf(w, "%-*s%s\n", column, name, line)
	}
}
