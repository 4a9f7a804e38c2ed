package broker_test

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const logOverhead = 12 // offset and length, in every format

// addRecords puts records into the tree as what they say, read by franz-go, and, under "bytes", as they are. A batch or message that
// the limit of the fetch has cut off stays bytes.
func (b *treeBuilder) addRecords(path string, raw []byte) {
	b.put(path+".bytes", bytesText(raw))
	b.put(path+".length", fmt.Sprint(len(raw)))
	whole, n := raw, 0
	for len(whole) >= logOverhead+5 && len(whole)-logOverhead >= int(binary.BigEndian.Uint32(whole[8:])) {
		size := logOverhead + int(binary.BigEndian.Uint32(whole[8:]))
		b.addBatch(fmt.Sprintf("%s.batch[%d]", path, n), whole[:size])
		whole, n = whole[size:], n+1
	}
	b.put(path+".batches", fmt.Sprint(n))
	b.put(path+".cut off", fmt.Sprint(len(whole) > 0))
	part := kmsg.NewFetchResponseTopicPartition()
	part.RecordBatches = raw[:len(raw)-len(whole)]
	o := kgo.ProcessFetchPartitionOpts{KeepControlRecords: true}
	read, _ := kgo.ProcessFetchPartition(o, &part, kgo.DefaultDecompressor(), nil)
	if read.Err != nil {
		b.put(path+".error", read.Err.Error())
	}
	for _, r := range read.Records {
		at := fmt.Sprintf("%s.record[%d]", path, r.Offset)
		b.put(at+".key", bytesText(r.Key))
		b.put(at+".value", bytesText(r.Value))
		b.put(at+".timestamp", fmt.Sprint(r.Timestamp.UnixMilli()))
		b.put(at+".headers", fmt.Sprintf("%q", r.Headers))
	}
}

func (b *treeBuilder) addBatch(path string, raw []byte) {
	magic := raw[16]
	b.put(path+".magic", fmt.Sprint(magic))
	b.put(path+".offset", fmt.Sprint(binary.BigEndian.Uint64(raw)))
	if magic < 2 {
		b.put(path+".attributes", fmt.Sprint(raw[17]))
		return
	}
	var batch kmsg.RecordBatch
	if err := batch.ReadFrom(raw); err != nil {
		b.put(path+".error", err.Error())
		return
	}
	b.put(path+".leader epoch", fmt.Sprint(batch.PartitionLeaderEpoch))
	b.put(path+".attributes", fmt.Sprint(batch.Attributes))
	b.put(path+".last offset delta", fmt.Sprint(batch.LastOffsetDelta))
	b.put(path+".first timestamp", fmt.Sprint(batch.FirstTimestamp))
	b.put(path+".max timestamp", fmt.Sprint(batch.MaxTimestamp))
	b.put(path+".producer", fmt.Sprint(batch.ProducerID, batch.ProducerEpoch, batch.FirstSequence))
	b.put(path+".records", fmt.Sprint(batch.NumRecords))
}
