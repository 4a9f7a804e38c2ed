package record

import "fmt"

// Codec is a compression codec as the low three attribute bits number it.
type Codec int8

// The codecs.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	Lz4    Codec = 3
	Zstd   Codec = 4

	// Producer stands for the compression.type "producer": keep what the
	// producer used. No batch carries it.
	Producer Codec = -1
)

// String gives the name used in compression.type.
func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case Lz4:
		return "lz4"
	case Zstd:
		return "zstd"
	case Producer:
		return "producer"
	}
	return fmt.Sprintf("codec(%d)", int8(c))
}

// ParseCodec understands the values of compression.type: "uncompressed" and
// "none" are both None.
func ParseCodec(name string) (Codec, error) {
	switch name {
	case "none", "uncompressed":
		return None, nil
	case "gzip":
		return Gzip, nil
	case "snappy":
		return Snappy, nil
	case "lz4":
		return Lz4, nil
	case "zstd":
		return Zstd, nil
	case "producer":
		return Producer, nil
	}
	return None, fmt.Errorf("record: unknown compression type %q", name)
}
