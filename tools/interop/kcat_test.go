//go:build interop

package interop

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// kcat takes lines on its standard input, with separators, and headers for a whole run; it makes no difference between
// empty and null.
func kcat() client {
	return client{name: "kcat", limits: limits{text: true, blockHeaders: true, noEmpty: true}, missing: func(*environment) string { return found("kcat") },
		produce: kcatProduce, consume: kcatConsume}
}

func kcatProduce(ctx context.Context, e *environment, topic, codec string, records []record) error {
	for len(records) > 0 {
		same := slices.IndexFunc(records, func(r record) bool { return fmt.Sprint(r.headers) != fmt.Sprint(records[0].headers) })
		if same < 0 {
			same = len(records)
		}
		args := []string{"-P", "-b", e.bootstrap, "-t", topic, "-z", codec, "-K", "|", "-D", "\n", "-Z", "-X", "enable.idempotence=true"}
		for _, h := range records[0].headers {
			args = append(args, "-H", h.key+"="+string(h.value))
		}
		var in bytes.Buffer
		for _, r := range records[:same] {
			fmt.Fprintf(&in, "%s|%s\n", r.key, r.value)
		}
		cmd := exec.CommandContext(ctx, "kcat", args...)
		cmd.Stdin = &in
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, tail(out))
		}
		records = records[same:]
	}
	return nil
}

func kcatConsume(ctx context.Context, e *environment, topic string, count int) ([]placed, error) {
	cmd := exec.CommandContext(ctx, "kcat", "-C", "-b", e.bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-f", `%p %o %K %S %h\n%k%s`)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, tail(errs.Bytes()))
	}
	var got []placed
	for len(out) > 0 {
		line, rest, _ := bytes.Cut(out, []byte("\n"))
		var r placed
		var keySize, valueSize int
		var headers string
		fields := strings.SplitN(string(line), " ", 5)
		if len(fields) != 5 {
			return nil, fmt.Errorf("malformed line %q", line)
		}
		headers = fields[4]
		if _, err := fmt.Sscan(strings.Join(fields[:4], " "), &r.partition, &r.offset, &keySize, &valueSize); err != nil {
			return nil, fmt.Errorf("malformed line %q: %w", line, err)
		}
		cut := func(size int) []byte {
			if size < 0 {
				return nil
			}
			field := rest[:min(size, len(rest))]
			rest = rest[len(field):]
			return field
		}
		r.key, r.value = cut(keySize), cut(valueSize)
		if headers != "" {
			for pair := range strings.SplitSeq(headers, ",") {
				key, value, _ := strings.Cut(pair, "=")
				r.headers = append(r.headers, header{key, []byte(value)})
			}
		}
		got = append(got, r)
		out = rest
	}
	if len(got) != count {
		return got, fmt.Errorf("%d records of %d\n%s", len(got), count, tail(errs.Bytes()))
	}
	return got, nil
}
