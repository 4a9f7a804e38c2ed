package option

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

const tableWidth = 80

// writeTable writes the options in two columns as wide as a terminal, sorted by name.
func writeTable(w io.Writer, flags []cli.Flag) {
	type row struct{ option, description string }
	rows := []row{{"Option", "Description"}, {"------", "-----------"}}
	left := 0
	for _, f := range slices.SortedFunc(slices.Values(flags), func(a, b cli.Flag) int {
		return cmp.Compare(a.Names()[0], b.Names()[0])
	}) {
		d, ok := f.(cli.DocGenerationFlag)
		if v, has := f.(cli.VisibleFlag); !ok || has && !v.IsVisible() {
			continue
		}
		placeholder, usage := unquote(d.GetUsage())
		option := "--" + f.Names()[0]
		if takesValue(f) {
			option += " <" + placeholder + ">"
		}
		rows = append(rows, row{option, usage})
	}
	for _, r := range rows {
		left = max(left, min(len(r.option), tableWidth/2))
	}
	for _, r := range rows {
		options, descriptions := wrap(r.option, left), wrap(r.description, tableWidth-left-2)
		for i := range max(len(options), len(descriptions)) {
			fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s  %s", left, at(options, i), at(descriptions, i)), " "))
		}
	}
}

// unquote splits a usage like "the `host:port` to ask" into the quoted name of the argument and the plain text.
func unquote(usage string) (placeholder, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	if name, after, closed := strings.Cut(rest, "`"); ok && closed {
		return name, before + name + after
	}
	return "value", usage
}

// wrap breaks text into lines of at most width; all but the first are indented. A word that is too long keeps its line.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = "  " + word
		}
	}
	return append(lines, line)
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
