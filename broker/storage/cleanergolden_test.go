package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
)

// TestGoldenCompaction compacts what Kafka compacted, twice, and compares: byte for byte where records are not
// compressed, record for record where they are.
func TestGoldenCompaction(t *testing.T) {
	root := untar(t, "compaction.tar.gz")
	for _, pass := range []string{"1", "2"} {
		dir := filepath.Join(root, "before"+pass)
		before, want := tree(t, dir), tree(t, filepath.Join(root, "after"+pass))
		var now time.Time
		o := goldenOptions(dir)
		o.Now = func() time.Time { return now }
		now = goldenTime
		o.Cleaner = DefaultCleanerConfig()
		m := openTestManager(t, o)
		for l := range m.Logs() {
			l.SetHighWatermark(l.LogEndOffset())
			now = time.UnixMilli(passTime(t, l, before, want))
			cleanLog(t, m, l)
		}
		now = goldenTime
		check(t, m.Close())
		got := tree(t, dir)
		for name := range got {
			if strings.HasSuffix(name, deletedSuffix) || name == lockFile || name == bootFile {
				delete(got, name)
			}
		}
		for name, w := range want {
			g, ok := got[name]
			switch base := filepath.Base(name); {
			case !ok:
				t.Errorf("pass %s: %s is missing", pass, name)
			case g == w, base == epochFile, base == metaPropertiesFile, base == highWatermarkFile, base == logStartFile:
			case base == recoveryPointFile || base == cleanerFile:
				w = strings.NewReplacer("0\n13\n", "0\n12\n", "__transaction_state 0 292\n", "", "__transaction_state 0 584\n", "").Replace(w)
				if !sameParts(strings.SplitAfter(g, "\n"), strings.SplitAfter(w, "\n")) {
					t.Errorf("pass %s: %s is %q, want %q", pass, name, g, w)
				}
			case strings.HasSuffix(name, snapshotSuffix):
				if !sameSnapshot(t, g, w) {
					t.Errorf("pass %s: %s differs", pass, name)
				}
			case strings.HasSuffix(name, logSuffix):
				compareLogs(t, name, g, w)
			case compressedTopic(name): // positions differ
			default:
				t.Errorf("pass %s: %s differs: %d bytes, want %d", pass, name, len(g), len(w))
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok && strings.Contains(name, "/") {
				t.Errorf("pass %s: %s is too much", pass, name)
			}
		}
	}
}

// TestGoldenCompactionOldFormats compacts logs of message formats 0 and 1.
func TestGoldenCompactionOldFormats(t *testing.T) {
	root := untar(t, "old-formats.tar.gz")
	dir := filepath.Join(root, "before")
	want := tree(t, filepath.Join(root, "after-compaction"))
	mtimes, err := os.ReadFile(filepath.Join(root, "before.mtimes"))
	check(t, err)
	for line := range strings.Lines(string(mtimes)) {
		ms, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		when, err := strconv.ParseInt(ms, 10, 64)
		check(t, err)
		check(t, os.Chtimes(filepath.Join(dir, name), time.Time{}, time.UnixMilli(when)))
	}
	m := openTestManager(t, goldenOptions(dir))
	for l := range m.Logs() {
		l.SetHighWatermark(l.LogEndOffset())
		if l.Config().Compact {
			cleanLog(t, m, l)
		}
	}
	check(t, m.Close())
	got := tree(t, dir)
	logs := 0
	for name, w := range want {
		if !strings.HasSuffix(name, logSuffix) {
			continue
		}
		logs++
		g, ok := got[name]
		if !ok {
			t.Errorf("%s is missing", name)
		}
		if strings.Contains(name, "-none-") && g != w {
			t.Errorf("%s differs", name)
		}
		compareLogs(t, name, g, w)
	}
	for name := range got {
		if _, ok := want[name]; !ok && strings.Contains(name, "-compact-") && strings.HasSuffix(name, logSuffix) {
			t.Errorf("%s is too much", name)
		}
	}
	if logs < 10 {
		t.Errorf("only %d segments compared", logs)
	}
}

func compressedTopic(name string) bool {
	for _, codec := range []string{"-gzip", "-snappy", "-lz4", "-zstd", "-txn-0"} {
		if strings.Contains(name, codec) {
			return true
		}
	}
	return false
}

// passTime is when Kafka made its pass, as the delete horizons that are new tell.
func passTime(t *testing.T, l *Log, before, after map[string]string) int64 {
	horizons := func(files map[string]string) map[int64]bool {
		m := map[int64]bool{}
		for name, content := range files {
			if !strings.HasPrefix(name, l.tp.String()+"/") || !strings.HasSuffix(name, logSuffix) {
				continue
			}
			for b, err := range record.Batches([]byte(content)) {
				check(t, err)
				if b.HasDeleteHorizon() {
					m[b.BaseTimestamp()] = true
				}
			}
		}
		return m
	}
	old := horizons(before)
	for h := range horizons(after) {
		if !old[h] {
			return h - l.Config().DeleteRetentionMs
		}
	}
	return goldenTime.UnixMilli()
}

// cleanLog makes one pass over a log, however little is dirty.
func cleanLog(t *testing.T, m *Manager, l *Log) {
	t.Helper()
	d, _, _, err := m.cleaner.consider(l, m.env.nowMs())
	check(t, err)
	if d.uncleanable <= d.first {
		return
	}
	config := DefaultCleanerConfig()
	p := &cleanPass{ctx: context.Background(), l: l, config: l.Config(), cleaner: &config, threads: 1, dirty: d, nowMs: m.env.nowMs()}
	end, err := p.run()
	check(t, err)
	check(t, m.cleaner.put(l, end))
}

func compareLogs(t *testing.T, name, got, want string) {
	t.Helper()
	g, w := batchStrings(t, got), batchStrings(t, want)
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			t.Errorf("%s: missing %s", name, w[i])
		case i >= len(w):
			t.Errorf("%s: too much: %s", name, g[i])
		case g[i] != w[i]:
			t.Errorf("%s: batch %d is\n%s\nwant\n%s", name, i, g[i], w[i])
		default:
			continue
		}
		return
	}
	if !compressedTopic(name) && got != want {
		t.Errorf("%s: same batches, other bytes", name)
	}
}

// batchStrings describes batches by all that must be the same however they are compressed.
func batchStrings(t testing.TB, content string) (list []string) {
	for b, err := range record.Batches([]byte(content)) {
		check(t, err)
		check(t, b.CheckCRC())
		h := b.Header()
		h.CRC, h.Length = 0, 0
		var records []string
		for r, err := range b.Records(nil) {
			check(t, err)
			var headers []string
			for k, v := range r.Headers.All() {
				headers = append(headers, fmt.Sprintf("%q=%q", k, v))
			}
			records = append(records, fmt.Sprintf("%d@%d %q=%q %v %v", r.Offset, r.Timestamp, r.Key, r.Value, r.Value == nil, headers))
		}
		list = append(list, fmt.Sprintf("%+v %s", h, strings.Join(records, "; ")))
	}
	return slices.Clip(list)
}
