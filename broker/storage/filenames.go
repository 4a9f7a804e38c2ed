package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Files of a segment: twenty digits of base offset and one of these.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"
)

// segmentSuffixes in the order Kafka renames them.
var segmentSuffixes = [...]string{logSuffix, indexSuffix, timeIndexSuffix, txnIndexSuffix}

// Stages of a file's life, put behind its name.
const (
	cleanedSuffix = ".cleaned" // output of a running compaction
	swapSuffix    = ".swap"    // finished output, taking the place of its inputs
	deletedSuffix = ".deleted" // to be removed
	tmpSuffix     = ".tmp"     // half-written checkpoint
)

// Other files of a partition directory.
const (
	epochFile             = "leader-epoch-checkpoint"
	partitionMetadataFile = "partition.metadata"
	replacesFile          = "kraal-replaces" // ours: see replace.go; Kafka passes over it
	strayFile             = "kraal-stray"    // ours: see stray.go; likewise
)

// Files and directories of a log directory.
const (
	lockFile             = ".lock"
	cleanShutdownFile    = ".kafka_cleanshutdown"
	bootFile             = ".kraal_boot_id" // ours; Kafka passes over plain files
	metaPropertiesFile   = "meta.properties"
	recoveryPointFile    = "recovery-point-offset-checkpoint"
	logStartFile         = "log-start-offset-checkpoint"
	highWatermarkFile    = "replication-offset-checkpoint"
	cleanerFile          = "cleaner-offset-checkpoint"
	remoteIndexCacheDir  = "remote-log-index-cache"
	clusterMetadataTopic = "__cluster_metadata"
)

// Suffixes of partition directories that are not current replicas.
const (
	deleteDirSuffix = "-delete"
	futureDirSuffix = "-future"
	strayDirSuffix  = "-stray"
)

// maxNameLength is what every filesystem allows; Kafka cuts -delete names to it.
const maxNameLength = 255

// fileName is the name of a file of the segment that begins at base.
func fileName(base int64, suffix string) string {
	var b [20 + 24]byte
	name := b[:0]
	digits := strconv.AppendInt(b[24:24], base, 10)
	for range 20 - len(digits) {
		name = append(name, '0')
	}
	return string(append(append(name, digits...), suffix...))
}

// parseFileName splits the name of a segment file or snapshot into base offset and the rest, which begins with a dot.
func parseFileName(name string) (base int64, suffix string, ok bool) {
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return 0, "", false
	}
	base, err := strconv.ParseInt(name[:dot], 10, 64)
	if err != nil || base < 0 || name[0] == '+' {
		return 0, "", false
	}
	return base, name[dot:], true
}

// dirKind is what a partition directory is for.
type dirKind int

const (
	currentDir dirKind = iota
	futureDir
	deletedDir
	strayDir
)

var errDirName = errors.New("not of the form topic-partition (or topic-partition.uuid with -delete, -future or -stray)")

// parseDirName tells which partition a directory belongs to.
func parseDirName(name string) (meta.TopicPartition, dirKind, error) {
	kind, whole := currentDir, name
	for suffix, k := range map[string]dirKind{deleteDirSuffix: deletedDir, futureDirSuffix: futureDir, strayDirSuffix: strayDir} {
		rest, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		dot := strings.LastIndexByte(rest, '.')
		if dot < 0 || dot == len(rest)-1 {
			return meta.TopicPartition{}, 0, fmt.Errorf("directory %q: %w", whole, errDirName)
		}
		kind, name = k, rest[:dot]
	}
	dash := strings.LastIndexByte(name, '-')
	if dash <= 0 || strings.ContainsAny(name, " \t\r\n") {
		return meta.TopicPartition{}, 0, fmt.Errorf("directory %q: %w", whole, errDirName)
	}
	p, err := strconv.ParseInt(name[dash+1:], 10, 32)
	if err != nil || p < 0 {
		return meta.TopicPartition{}, 0, fmt.Errorf("directory %q: %w", whole, errDirName)
	}
	return meta.TopicPartition{Topic: name[:dash], Partition: int32(p)}, kind, nil
}

// uniqueDirName names a directory for a partition with one of the suffixes. If the whole is too long the topic is cut,
// except for -future, which is ErrNameTooLong then because the name must be parsed back.
func uniqueDirName(tp meta.TopicPartition, suffix string) (string, error) {
	var id [16]byte
	rand.Read(id[:])
	tail := "-" + strconv.Itoa(int(tp.Partition)) + "." + hex.EncodeToString(id[:]) + suffix
	topic := tp.Topic
	if over := len(topic) + len(tail) - maxNameLength; over > 0 {
		if suffix == futureDirSuffix {
			return "", fmt.Errorf("directory for %s: %w", tp, ErrNameTooLong)
		}
		topic = topic[:len(topic)-over]
	}
	return topic + tail, nil
}
