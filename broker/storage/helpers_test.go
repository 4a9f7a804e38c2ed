package storage

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

// untar unpacks an archive of testdata into a new directory.
func untar(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	check(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	check(t, err)
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return dir
		}
		check(t, err)
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			check(t, os.MkdirAll(path, 0o755))
			continue
		}
		content, err := io.ReadAll(r)
		check(t, err)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, content, 0o644))
	}
}

// tree reads all files below a directory, by relative path.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(content)
		return err
	}))
	return files
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testLogger(t testing.TB) *zap.Logger {
	if os.Getenv("KRAAL_TEST_LOG") != "" {
		return zaptest.NewLogger(t)
	}
	return zap.NewNop()
}

// openTestManager opens a manager and closes it with the test.
func openTestManager(t testing.TB, o ManagerOptions) *Manager {
	t.Helper()
	if o.Logger == nil {
		o.Logger = testLogger(t)
	}
	m, err := OpenManager(context.Background(), o)
	check(t, err)
	t.Cleanup(func() { m.Close() })
	return m
}

// goldenTime is about when the golden directories were recorded.
var goldenTime = time.Date(2026, 11, 22, 17, 0, 0, 0, time.UTC)

// goldenConfig is the configuration the golden directories were written with.
func goldenConfig(topic string) *LogConfig {
	c := DefaultLogConfig()
	c.MaxIndexBytes, c.IndexIntervalBytes, c.RetentionMs = 4096, 512, -1
	switch {
	case topic == "segments" || topic == "segments-replicated":
		c.SegmentBytes, c.IndexIntervalBytes = 16384, 256
	case topic == "retention":
		c.SegmentBytes, c.RetentionBytes = 8192, 20000
	case topic == "idempotent" || topic == "txn":
		c.SegmentBytes, c.IndexIntervalBytes = 4096, 128
	case strings.HasPrefix(topic, "crash-"):
		c.IndexIntervalBytes = 256
	case topic == "compacted" || strings.HasPrefix(topic, "__") || strings.HasPrefix(topic, "cp-"):
		c.Compact, c.Delete = true, topic == "cp-delete"
		c.SegmentBytes = 8192
		c.DeleteRetentionMs = (24 * time.Hour).Milliseconds()
		switch topic {
		case "cp-short", "cp-idem", "cp-txn":
			c.DeleteRetentionMs = 100
		case "cp-big-segments":
			c.SegmentBytes = 32768
		}
	case strings.HasPrefix(topic, "v0-"), strings.HasPrefix(topic, "v1-"), topic == "mixed":
		c.SegmentBytes, c.IndexIntervalBytes = 4096, 128
		c.Compact = strings.Contains(topic, "compact")
	}
	return &c
}

func goldenOptions(dir string) ManagerOptions {
	return ManagerOptions{Dirs: []string{dir}, TopicConfig: goldenConfig, Now: func() time.Time { return goldenTime }, RecoveryThreads: 2}
}
