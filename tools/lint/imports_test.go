// Package lint holds the project's rules about its own source, as tests.
package lint

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kraal-mq/kraal/"

// layers is the import policy: a package may import packages of rows below its own, and of its own row only those
// named in sideways. Packages that are not listed belong to the nearest listed parent.
var layers = [][]string{
	{"tools"},
	{"broker"},
	{"broker/api"},
	{"broker/replica", "broker/group", "broker/txn", "controller"},
	{"broker/coord", "broker/metadata", "broker/config", "broker/transport", "broker/sasl", "broker/peer", "broker/fetchsession"},
	{"broker/storage", "broker/storage/vfs", "broker/record", "broker/wire", "acl", "quota"},
	{"zkstore"},
	{"zkstore/meta", "jmx"},
}

var sideways = map[string][]string{
	"broker/storage":   {"broker/storage/vfs", "broker/record"},
	"broker/transport": {"broker/sasl"},
}

// forbidden names packages that may not see others although the layers would let them: the controller knows brokers
// only through its Sender, and quota is arithmetic.
var forbidden = map[string][]string{
	"controller": {"broker", "acl", "quota"},
	"quota":      {"zkstore"},
}

// only says who may import a package from outside of the module, test files apart.
var only = map[string][]string{
	"github.com/go-zookeeper/zk":       {"zkstore"},
	"github.com/IBM/sarama":            {"tools"},
	"github.com/urfave/cli/v2":         {"tools"},
	"github.com/twmb/franz-go/pkg/kgo": {},
}

// testOnly packages are for tests.
var testOnly = []string{"zkstore/zktest", "broker/brokertest", "tools/testkit", "tools/interop", "broker/coord/coordtest"}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		from, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours {
				checkInside(t, from, to)
				continue
			}
			if allowed, limited := only[imported]; limited && !isTestOnly(from) &&
				!slices.ContainsFunc(allowed, func(a string) bool { return within(from, a) }) {
				t.Errorf("%s imports %s, which only %v may", from, imported, allowed)
			}
		}
	}
}

func checkInside(t *testing.T, from, to string) {
	if isTestOnly(to) && !isTestOnly(from) {
		t.Errorf("%s imports %s, which is for tests", from, to)
		return
	}
	if isTestOnly(from) {
		return
	}
	fromLayer, fromName := layerOf(from)
	toLayer, toName := layerOf(to)
	if fromLayer < 0 || toLayer < 0 {
		t.Errorf("%s imports %s: one of them is in no layer", from, to)
		return
	}
	for _, f := range forbidden[fromName] {
		if within(to, f) {
			t.Errorf("%s imports %s: %s must not know %s", from, to, fromName, f)
		}
	}
	switch {
	case fromName == toName, toLayer > fromLayer:
	case toLayer == fromLayer && slices.Contains(sideways[fromName], toName):
	default:
		t.Errorf("%s imports %s: imports point down only", from, to)
	}
}

// layerOf returns the row of the longest listed name that path is or lies below, and that name.
func layerOf(path string) (row int, name string) {
	row = -1
	for i, names := range layers {
		for _, n := range names {
			if within(path, n) && len(n) > len(name) {
				row, name = i, n
			}
		}
	}
	return row, name
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func isTestOnly(path string) bool {
	return slices.ContainsFunc(testOnly, func(d string) bool { return within(path, d) })
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
