// Package record reads, checks, writes and converts Kafka's record batches in
// place: what is in the bytes of a Produce request, a segment file and a Fetch
// response. It knows bytes and offsets, no requests, no files and no topics;
// where batches lie on disk is package storage's, which error code an error
// becomes is package api's.
//
// # Format
//
// An entry of a log begins alike in all message formats (magic 0, 1, 2):
//
//	 0  base offset int64      last inner offset in formats 0 and 1
//	 8  length int32           of what follows: LogOverhead is these 12 bytes
//	12  ...
//	16  magic int8
//
// A v2 batch (DefaultRecordBatch.java, KIP-98):
//
//	12  partition leader epoch int32
//	16  magic int8             2
//	17  crc uint32             CRC-32C of everything from 21 on
//	21  attributes int16       0-2 codec, 3 LogAppendTime, 4 transactional,
//	                           5 control, 6 delete horizon
//	23  last offset delta int32
//	27  base timestamp int64   of the first record, or the delete horizon
//	35  max timestamp int64
//	43  producer id int64
//	51  producer epoch int16
//	53  base sequence int32
//	57  count int32
//	61  records, compressed as one stream if there is a codec:
//
//	    length varint, attributes int8, timestamp delta varlong,
//	    offset delta varint, key length varint, key, value length varint,
//	    value, header count varint, {key length varint, key, value length
//	    varint, value}...
//
// Offset and leader epoch are outside of the checksum, so a leader sets them
// for nothing. Formats 0 and 1 are drawn in legacy.go; the log of a broker that
// is up to date has them only from earlier, but clients may still send them and
// ask for them.
//
// # Parts
//
// Batch is a view over one entry, made by Next or View, which check what the
// getters rely on. Header is the same by value, for scans of files. Records
// iterates over an entry of any format and codec. Builder and LegacyBuilder
// write. Validate does with a client's records everything that comes before
// offsets are assigned. DownConversion is a piece of log on its way to an old
// client.
//
// # Invariants
//
// Bytes from outside never panic, and no length in them sizes an allocation:
// decompression goes through a window that grows with what was really read, up
// to one record and a total limit, and everything else is sub-slices of what
// the caller holds.
//
// Keys, values and headers of an iteration alias the batch or that window and
// end with the next step; whoever keeps them copies them.
//
// Nothing here starts a goroutine or takes a lock. Decompressors, builders and
// conversions belong to one goroutine at a time; batches are for any number of
// readers as long as nobody uses a setter. Decoders and encoders are large, so
// they come from pools, the only state of the package.
package record
