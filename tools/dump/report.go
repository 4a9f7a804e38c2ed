package dump

import (
	"fmt"
	"io"
	"slices"
)

// findings are contradictions between files, printed after all of them.
type findings struct {
	mismatches, gaps                 pairsByFile // offset index against log; offsets of one log
	timeMismatches, outOfOrder, lost pairsByFile // time index against log
}

type pair struct{ first, second int64 }

// pairsByFile keeps files in the order in which they came up.
type pairsByFile struct {
	files []string
	pairs map[string][]pair
}

func (p *pairsByFile) add(file string, first, second int64) {
	if p.pairs == nil {
		p.pairs = make(map[string][]pair)
	}
	if _, known := p.pairs[file]; !known {
		p.files = append(p.files, file)
	}
	p.pairs[file] = append(p.pairs[file], pair{first, second})
}

func (p *pairsByFile) each(file func(name string), line func(pair), newestFirst bool) {
	for _, f := range p.files {
		file(f)
		pairs := p.pairs[f]
		if newestFirst {
			pairs = slices.Clone(pairs)
			slices.Reverse(pairs)
		}
		for _, pair := range pairs {
			line(pair)
		}
	}
}

func (f *findings) print(w io.Writer) {
	title := func(format string) func(string) {
		return func(name string) { fmt.Fprintf(w, format+"\n", name) }
	}
	line := func(format string) func(pair) {
		return func(p pair) { fmt.Fprintf(w, format+"\n", p.first, p.second) }
	}
	f.mismatches.each(title("Mismatches in :%s"), line("  Index offset: %d, log offset: %d"), true)
	f.timeMismatches.each(title("Found timestamp mismatch in :%s"), line("  Index timestamp: %d, log timestamp: %d"), false)
	f.outOfOrder.each(title("Found out of order timestamp in :%s"),
		line("  Index timestamp: %d, Previously indexed timestamp: %d"), false)
	f.lost.each(func(string) { fmt.Fprintln(w, "The following indexed offsets are not found in the log.") },
		line("Indexed offset: %d, found log offset: %d"), false)
	f.gaps.each(title("Non-consecutive offsets in %s"), line("  %d is followed by %d"), true)
}
