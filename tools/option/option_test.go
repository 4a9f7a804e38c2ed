package option

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/kraal-mq/kraal/tools/testkit"
)

func tool(seen *cli.Context, fail func(*cli.Context, *ParseError) error) *cli.Command {
	return Tool(&cli.Command{
		Name: "things",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "bootstrap-server", Usage: "REQUIRED: the brokers to connect to, as `host:port,...`"},
			&cli.BoolFlag{Name: "list", Usage: "name them all, which may take a while when there are many, and goes on on a second line"},
			&cli.IntFlag{Name: "count", Usage: "how many"},
			&cli.StringSliceFlag{Name: "config", Usage: "`name=value`; may be repeated"},
			&cli.BoolFlag{Name: "secret", Hidden: true},
		},
		Action: func(c *cli.Context) error {
			*seen = *c
			return nil
		},
	}, "This tool does things.", fail)
}

func TestToolReadsOptionsAnywhere(t *testing.T) {
	var c cli.Context
	_, stderr, code := testkit.Run(t.Context(), tool(&c, Message), "ignored", "-bootstrap-server", "a:1", "more", "--config=a=b,c", "--list", "--config", "d=-1", "--count", "-7")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if got := c.String("bootstrap-server"); got != "a:1" {
		t.Errorf("bootstrap-server %q", got)
	}
	if got := c.StringSlice("config"); !slices.Equal(got, []string{"a=b,c", "d=-1"}) {
		t.Errorf("config %q", got)
	}
	if !c.Bool("list") || c.Int("count") != -7 {
		t.Errorf("list %v, count %d", c.Bool("list"), c.Int("count"))
	}
}

func TestToolWordsParseErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--nonsense"}, "nonsense is not a recognized option\n"},
		{[]string{"--nonsense=1"}, "nonsense is not a recognized option\n"},
		{[]string{"word", "--nonsense"}, "nonsense is not a recognized option\n"},
		{[]string{"--config"}, "Option config requires an argument\n"},
		{[]string{"word", "--config"}, "Option config requires an argument\n"},
		{[]string{"--count", "many"}, "Cannot parse argument 'many' of option count\n"},
		{[]string{"word", "--count", "many"}, "Cannot parse argument 'many' of option count\n"},
	} {
		if _, stderr, code := testkit.Run(t.Context(), tool(new(cli.Context), Message), c.args...); stderr != c.want || code != 1 {
			t.Errorf("%v: exit code %d, %q, want %q", c.args, code, stderr, c.want)
		}
	}
	want := "x is not a recognized option\njoptsimple.UnrecognizedOptionException: x is not a recognized option\n\n"
	if _, stderr, _ := testkit.Run(t.Context(), tool(new(cli.Context), Thrown), "--x"); stderr != want {
		t.Errorf("thrown: %q", stderr)
	}
}

func TestToolHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, nil, {"--list", "--help"}} {
		stdout, stderr, code := testkit.Run(t.Context(), tool(new(cli.Context), Message), args...)
		if code != 1 || stdout != "" {
			t.Errorf("%v: exit code %d, stdout %q", args, code, stdout)
		}
		testkit.Golden(t, "help.txt", []byte(stderr))
	}
	if stdout, _, code := testkit.Run(t.Context(), tool(new(cli.Context), Message), "--version"); stdout != KafkaVersion+"\n" || code != 0 {
		t.Errorf("--version: exit code %d, %q", code, stdout)
	}
}

func suite() *cli.Command {
	add := &Suite{
		Name: "add", Usage: "add a thing", Required: []string{"id"}, OneOf: []string{"left", "right"},
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "id", Aliases: []string{"i"}, Usage: "its id"},
			&cli.StringFlag{Name: "left", Usage: "where it goes if it goes to the left, which is described here at some length"},
			&cli.StringFlag{Name: "right", Aliases: []string{"r"}, Usage: "where else"},
			&cli.BoolFlag{Name: "quick", Usage: "no questions"},
		},
		Action: func(c *cli.Context) error {
			c.App.Writer.Write([]byte("added " + c.String("left") + c.String("right")))
			return nil
		},
	}
	return (&Suite{Name: "kafka-things", Usage: "things", About: "The things tool.", Commands: []*Suite{add}}).Command()
}

func TestSuite(t *testing.T) {
	var script strings.Builder
	for _, args := range []string{
		"", "--help", "-h", "--version", "nonsense", "add", "add --help", "add --id 1", "add --id x --left a", "add --id",
		"add --id 1 --left a --right b", "add --id 1 --left a", "add -i 1 -r b", "add --id=1 --left=a --nonsense",
	} {
		stdout, stderr, code := testkit.Run(t.Context(), suite(), strings.Fields(args)...)
		script.WriteString("$ kafka-things " + args + "\n" + stdout + stderr + "exit " + string(rune('0'+code)) + "\n\n")
	}
	testkit.Golden(t, "suite.txt", []byte(script.String()))
}
