package dump

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// checkpoint prints an offset checkpoint or a leader epoch checkpoint: a version line (0), a line with the number of
// entries, one entry a line (server-common/.../CheckpointFile.java). Kafka's tool does not read these.
func (d *dumper) checkpoint(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	names := []string{"topic", "partition", "offset"}
	if strings.HasSuffix(path, "leader-epoch-checkpoint") {
		names = []string{"epoch", "startOffset"}
	}
	return readCheckpoint(f, func(fields []string) error {
		if len(fields) != len(names) {
			return fmt.Errorf("%s: malformed line %q", path, strings.Join(fields, " "))
		}
		for i, name := range names {
			if _, err := strconv.ParseInt(fields[i], 10, 64); err != nil && name != "topic" {
				return fmt.Errorf("%s: malformed line %q", path, strings.Join(fields, " "))
			}
			if i > 0 {
				d.out.WriteByte(' ')
			}
			fmt.Fprintf(d.out, "%s: %s", name, fields[i])
		}
		d.out.WriteByte('\n')
		return nil
	}, path)
}

func readCheckpoint(in io.Reader, entry func(fields []string) error, path string) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return lines.Err() // an empty file has no entries
	}
	if version := strings.TrimSpace(lines.Text()); version != "0" {
		return fmt.Errorf("%s: unknown version %q", path, version)
	}
	if !lines.Scan() {
		return fmt.Errorf("%s: ends before the number of entries", path)
	}
	want, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
	if err != nil {
		return fmt.Errorf("%s: malformed number of entries %q", path, lines.Text())
	}
	n := 0
	for ; lines.Scan(); n++ {
		if err := entry(strings.Fields(lines.Text())); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("%s: %d entries where %d are announced", path, n, want)
	}
	return nil
}
