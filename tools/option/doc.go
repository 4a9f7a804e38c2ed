// Package option gives urfave/cli commands the manners of Kafka's command-line tools, which scripts depend on: long
// options with one or two dashes, the messages for wrong usage, the option table on stderr, exit code 1 for --help.
//
// Kafka's tools come in two kinds. Most parse with joptsimple: [Tool] makes such a command. A few (kafka-cluster,
// kafka-transactions, kafka-features) parse with argparse4j, have sub-commands and word everything differently: [Suite]
// makes those.
//
// A command prints what it has to say to App.Writer and App.ErrWriter of its context and returns an error that only
// carries the exit code ([Exit]); [Code] turns what App.Run returned into it.
package option
