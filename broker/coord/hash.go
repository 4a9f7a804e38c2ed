package coord

import (
	"math"
	"unicode/utf16"
)

// PartitionOf is where Kafka keeps a key (GroupMetadataManager.partitionFor): Java's String.hashCode over UTF-16 code units.
func PartitionOf(key string, partitions int32) int32 {
	var h int32
	for _, r := range key {
		if r >= 0x10000 {
			high, low := utf16.EncodeRune(r)
			h = 31*h + int32(high)
			r = low
		}
		h = 31*h + r
	}
	if h == math.MinInt32 {
		return 0
	}
	if h < 0 {
		h = -h
	}
	return h % partitions
}
