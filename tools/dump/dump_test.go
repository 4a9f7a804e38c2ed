package dump

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kraal-mq/kraal/broker/record"
)

const segment = "testdata/clean/codec-none-0/00000000000000000000.log"

func TestShallow(t *testing.T) {
	text, code := run(t, "-files", segment)
	if code != 0 || strings.Contains(text, "\n| ") || !strings.Contains(text, "\nbaseOffset: 0 lastOffset: 4 count: 5 ") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

func TestSkipRecordMetadata(t *testing.T) {
	text, _ := run(t, "--files", segment, "--print-data-log", "--skip-record-metadata")
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(lines[3], " payload: ") && !strings.HasPrefix(lines[3], "| key: ") {
		t.Errorf("%q", lines[3])
	}
	if strings.Contains(text, "keySize") {
		t.Error("metadata printed")
	}
}

func TestMaxBytes(t *testing.T) {
	whole, _ := run(t, "--files", segment)
	text, code := run(t, "--files", segment, "--max-bytes", "1000")
	if code != 0 || !strings.HasPrefix(whole, text) || len(text) >= len(whole) || strings.Count(text, "\n") < 3 {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

func TestDecoderClasses(t *testing.T) {
	text, code := run(t, "--files", segment, "--value-decoder-class", "kafka.serializer.DefaultDecoder", "--max-bytes", "1000")
	want := "Dumping " + segment + "\nkafka.serializer.DefaultDecoder is deprecated. Please use org.apache.kafka.tools.api.DefaultDecoder instead\n" +
		"Log starting offset: 0\n"
	if code != 0 || !strings.HasPrefix(text, want) || !strings.Contains(text, " payload: ") {
		t.Errorf("exit code %d\n%s", code, text)
	}
	text, code = run(t, "--files", segment, "--value-decoder-class", "no.such.Class")
	if code != 1 || text != "Dumping "+segment+"\nException in thread \"main\" java.lang.ClassNotFoundException: no.such.Class\n" {
		t.Errorf("exit code %d\n%s", code, text)
	}
	for class, want := range map[string]string{"org.apache.kafka.tools.api.IntegerDecoder": "-1", "org.apache.kafka.tools.api.LongDecoder": "-1",
		"org.apache.kafka.tools.api.StringDecoder": strings.Repeat("\ufffd", 8)} {
		decode, _, err := newFieldDecoder(class)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := decode(bytes.Repeat([]byte{0xff}, 8)); err != nil || text != want {
			t.Errorf("%s: %q, %v", class, text, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"--files", "testdata/replication-offset-checkpoint.bak"}, "Dumping testdata/replication-offset-checkpoint.bak\nIgnoring unknown file testdata/replication-offset-checkpoint.bak\n", 0},
		{[]string{"--files", "d//missing.log"}, "Dumping d/missing.log\nException in thread \"main\" java.lang.NumberFormatException: For input string: \"missing\"\n", 1},
		{[]string{"--files", "00000000000000000000.log"}, "Dumping 00000000000000000000.log\nLog starting offset: 0\nException in thread \"main\" java.nio.file.NoSuchFileException: 00000000000000000000.log\n", 1},
		{[]string{"--files", segment, "--max-bytes", "x"}, "Exception in thread \"main\" joptsimple.OptionArgumentConversionException: Cannot parse argument 'x' of option max-bytes\n", 1},
	} {
		if text, code := run(t, c.args...); text != c.want || code != c.code {
			t.Errorf("%v: exit code %d\n%s", c.args, code, text)
		}
	}
	if text, code := run(t, "--print-data-log"); code != 1 || !strings.HasPrefix(text, "Missing required argument \"[files]\"\n") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

func TestCheckpoints(t *testing.T) {
	text, code := run(t, "--files", "testdata/replication-offset-checkpoint,testdata/clean/epochs-0/leader-epoch-checkpoint")
	for _, want := range []string{"\ntopic: __transaction_state partition: 0 offset: 38\n", "\nepoch: 0 startOffset: 0\nepoch: 1 startOffset: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for name, content := range map[string]string{"version": "1\n0\n", "short": "0\n2\nt 0 1\n", "long": "0\n0\nt 0 1\n", "count": "0\nx\n", "fields": "0\n1\nt 0\n",
		"number": "0\n1\nt 0 x\n", "cut": "0\n"} {
		file := filepath.Join(t.TempDir(), "cleaner-offset-checkpoint")
		write(t, file, []byte(content))
		if text, code := run(t, "--files", file); code != 1 {
			t.Errorf("%s: exit code %d\n%s", name, code, text)
		}
	}
}

func TestIndexSanity(t *testing.T) {
	dir := t.TempDir()
	index, times := filepath.Join(dir, "00000000000000000005.index"), filepath.Join(dir, "00000000000000000005.timeindex")
	entry := binary.BigEndian.AppendUint64(nil, 1<<32|10)
	entryTime := append(binary.BigEndian.AppendUint64(nil, 1700000000000), 0, 0, 0, 1)

	write(t, index, append(bytes.Clone(entry), make([]byte, 80)...)) // preallocated: fine
	write(t, times, append(bytes.Clone(entryTime), make([]byte, 24)...))
	text, code := run(t, "--index-sanity-check", "--files", index+","+times)
	want := "Dumping " + index + "\n" + index + " passed sanity check.\nDumping " + times + "\n" +
		"Exception in thread \"main\" org.apache.kafka.storage.internals.log.CorruptIndexException: Corrupt time index found, time index file (" + times +
		") has non-zero size but the last timestamp is 0 which is less than the first timestamp 1700000000000\n"
	if text != want || code != 1 {
		t.Errorf("exit code %d\n%s", code, text)
	}

	write(t, index, append(bytes.Clone(entry), 1))
	write(t, times, append(bytes.Clone(entryTime), 1))
	text, _ = run(t, "--index-sanity-check", "--files", index+","+times)
	for _, want := range []string{"Index file " + index + " is corrupt, found 9 bytes", "Time index file " + times + " is corrupt, found 13 bytes"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	write(t, index, bytes.Repeat([]byte{0xff}, 8))
	write(t, times, append(binary.BigEndian.AppendUint64(nil, 1700000000000), 0xff, 0xff, 0xff, 0xff))
	text, _ = run(t, "--index-sanity-check", "--files", index+","+times)
	for _, want := range []string{"the last offset is 4 which is less than the base offset 5", "the last offset is 4 which is less than the first offset 5"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestContradictions damages one field of an index at a time and looks for the report on it.
func TestContradictions(t *testing.T) {
	dir := t.TempDir()
	for _, suffix := range []string{".log", ".index", ".timeindex"} {
		b, err := os.ReadFile("testdata/clean/codec-none-0/00000000000000000000" + suffix)
		if err != nil {
			t.Fatal(err)
		}
		switch suffix {
		case ".index":
			b[3]++ // relative offset of the first entry
		case ".timeindex":
			b[7]++  // timestamp of the first entry
			b[23]++ // offset of the second
		}
		write(t, filepath.Join(dir, "00000000000000000000"+suffix), b)
	}
	index := filepath.Join(dir, "00000000000000000000.index")
	times := filepath.Join(dir, "00000000000000000000.timeindex")
	text, code := run(t, "--verify-index-only", "--files", index+","+times)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"Mismatches in :" + index + "\n  Index offset: ", "Found timestamp mismatch in :" + times + "\n  Index timestamp: ",
		"The following indexed offsets are not found in the log.\nIndexed offset: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "position:") {
		t.Error("entries printed")
	}
}

func TestBrokenSnapshots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "00000000000000000007.snapshot")
	good, err := os.ReadFile("testdata/clean/txn-two-0/00000000000000000005.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string][]byte{
		"Snapshot failed schema validation: 3 bytes\n":         good[:3],
		"Snapshot contained an unknown file version 2\n":       append([]byte{0, 2}, good[2:]...),
		"Snapshot is corrupt (CRC is no longer valid). Stored": append(bytes.Clone(good), 0),
	} {
		write(t, file, b)
		if text, code := run(t, "--files", file); code != 0 || !strings.HasPrefix(text, "Dumping "+file+"\n"+want) {
			t.Errorf("exit code %d\n%s", code, text)
		}
	}
}

func TestFirstSequence(t *testing.T) {
	for _, c := range [][3]int32{{9, 4, 5}, {-1, 0, -1}, {0, 0, 0}, {1, 3, 1<<31 - 2}} {
		if got := firstSequence(c[0], c[1]); got != c[2] {
			t.Errorf("firstSequence(%d, %d) = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

// FuzzFiles dumps arbitrary bytes as each kind of file beside each other.
func FuzzFiles(f *testing.F) {
	log, _ := os.ReadFile("testdata/old/v0-gzip-0/00000000000000000000.log")
	index, _ := os.ReadFile("testdata/old/v0-gzip-0/00000000000000000000.index")
	f.Add(log, index)
	f.Add(log[:100], []byte("0\n1\nt 0 5\n"))
	f.Fuzz(func(t *testing.T, log, other []byte) {
		dir := t.TempDir()
		var files []string
		for _, name := range []string{"1.log", "1.index", "1.timeindex", "1.txnindex", "1.snapshot", "x-offset-checkpoint", "leader-epoch-checkpoint"} {
			content := other
			if name == "1.log" {
				content = log
			}
			files = append(files, filepath.Join(dir, name))
			write(t, files[len(files)-1], content)
		}
		run(t, "--print-data-log", "--files", strings.Join(files, ","))
		run(t, "--index-sanity-check", "--files", strings.Join(files, ","))
	})
}

func TestLegacyChecksum(t *testing.T) {
	r := record.Record{Timestamp: -1, Key: []byte("k1"), Value: []byte("value-1-abc")}
	if got := legacyChecksum(record.Magic0, r); got != 2406247866 { // printed by kafka-dump-log
		t.Errorf("%d", got)
	}
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
