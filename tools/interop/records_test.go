//go:build interop

package interop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"
)

// A record as it is sent and as it comes back. Nil is null.
type record struct {
	key, value []byte
	headers    []header
}

type header struct {
	key   string
	value []byte
}

// placed is a record that was read, with where it was.
type placed struct {
	partition int32
	offset    int64
	record
}

// limits are what a client cannot do.
type limits struct {
	text         bool // only printable characters
	noHeaders    bool
	blockHeaders bool // the same headers for long runs of records
	noEmpty      bool // empty keys become null
	noNullHeader bool // every header has a value
	small        bool // no records above 30 KB
}

// generate makes the i-th record of a data set. Number i is found again in the value, or in the key of a record without
// value.
func generate(i int, l limits) record {
	rng := rand.New(rand.NewPCG(uint64(i), 7))
	number := fmt.Appendf(nil, "%08d:", i)
	r := record{value: append(number, noise(rng, valueSize(i, rng, l), l.text)...)}
	switch {
	case i%1000 == 999:
		r.key, r.value = fmt.Appendf(nil, "deleted-%08d:", i), nil
	case i%7 == 0: // null
	case i%7 == 1 && !l.noEmpty:
		r.key = []byte{}
	default:
		r.key = append(fmt.Appendf(nil, "key-%d-", i%5000), noise(rng, 1+rng.IntN(30), l.text)...)
	}
	if l.noHeaders {
		return r
	}
	of := i
	if l.blockHeaders {
		of = i / 2500
	}
	for h := range of % 4 {
		value := fmt.Appendf(nil, "value-%d", of*h)
		if h == 2 && !l.text && !l.noNullHeader {
			value = nil
		}
		r.headers = append(r.headers, header{fmt.Sprintf("header-%d", h), value})
	}
	return r
}

// valueSize is mostly small, at times ten kilobytes, rarely half a megabyte if that is not too much, and now and then nothing.
func valueSize(i int, rng *rand.Rand, l limits) int {
	switch {
	case i%5003 == 17 && l.small:
		return 20_000 + rng.IntN(10_000)
	case i%5003 == 17:
		return 400_000 + rng.IntN(100_000)
	case i%101 == 5:
		return 10_000 + rng.IntN(5000)
	case i%11 == 3:
		return 0
	}
	return rng.IntN(300)
}

func noise(rng *rand.Rand, size int, text bool) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.Uint32())
		if text {
			b[i] = letters[b[i]%64]
		}
	}
	return b
}

// number finds out which record of its data set r is.
func (r record) number() (int, error) {
	text := r.value
	if text == nil {
		text = bytes.TrimPrefix(r.key, []byte("deleted-"))
	}
	if len(text) < 9 || text[8] != ':' {
		return 0, fmt.Errorf("no number in %.40q", text)
	}
	return strconv.Atoi(string(text[:8]))
}

// verify checks that the n records of a data set have come back as they were, once, and in order in each partition.
func verify(t *testing.T, got []placed, n int, l limits) {
	t.Helper()
	seen := make([]bool, n)
	lastOffset, lastNumber := map[int32]int64{}, map[int32]int{}
	for _, r := range got {
		i, err := r.number()
		if err != nil || i < 0 || i >= n {
			t.Fatalf("%d-%d is none of ours: %d, %v", r.partition, r.offset, i, err)
		}
		if before, ok := lastOffset[r.partition]; ok && r.offset <= before {
			t.Fatalf("partition %d: offset %d after %d", r.partition, r.offset, before)
		}
		if before, ok := lastNumber[r.partition]; ok && i <= before {
			t.Fatalf("partition %d: record %d after %d", r.partition, i, before)
		}
		lastOffset[r.partition], lastNumber[r.partition] = r.offset, i
		if want := generate(i, l); !r.same(want) {
			t.Fatalf("record %d at %d-%d has changed\ngot  %s\nwant %s", i, r.partition, r.offset, r.record, want)
		}
		if seen[i] {
			t.Fatalf("record %d twice", i)
		}
		seen[i] = true
	}
	if len(got) != n {
		t.Fatalf("%d records of %d", len(got), n)
	}
	if len(lastOffset) < 2 {
		t.Fatalf("all in %d partition", len(lastOffset))
	}
}

func (r record) same(o record) bool {
	if !equal(r.key, o.key) || !equal(r.value, o.value) || len(r.headers) != len(o.headers) {
		return false
	}
	for i, h := range r.headers {
		if h.key != o.headers[i].key || !equal(h.value, o.headers[i].value) {
			return false
		}
	}
	return true
}

func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func (r record) String() string {
	text := func(b []byte) string {
		if b == nil {
			return "null"
		}
		return fmt.Sprintf("%.60q (%d)", b, len(b))
	}
	return fmt.Sprintf("key %s value %s headers %q", text(r.key), text(r.value), r.headers)
}

// write appends the exchange format, see the package comment.
func (r record) write(b []byte) []byte {
	b = appendBytes(appendBytes(b, r.key), r.value)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.headers)))
	for _, h := range r.headers {
		b = appendBytes(appendBytes(b, []byte(h.key)), h.value)
	}
	return b
}

func appendBytes(b, field []byte) []byte {
	if field == nil {
		return append(b, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

var errShort = errors.New("exchange file ends in the middle of a record")

// readPlaced reads what a consume program has written.
func readPlaced(b []byte) ([]placed, error) {
	var all []placed
	in := bytes.NewReader(b)
	var err error
	take := func() []byte {
		var size int32
		if e := binary.Read(in, binary.BigEndian, &size); e != nil {
			err = errShort
		}
		if size < 0 || err != nil {
			return nil
		}
		field := make([]byte, min(int(size), in.Len()))
		if _, e := io.ReadFull(in, field); e != nil || len(field) != int(size) {
			err = errShort
		}
		return field
	}
	for in.Len() > 0 && err == nil {
		var r placed
		var count int32
		if e := errors.Join(binary.Read(in, binary.BigEndian, &r.partition), binary.Read(in, binary.BigEndian, &r.offset)); e != nil {
			return nil, errShort
		}
		r.key, r.value = take(), take()
		if e := binary.Read(in, binary.BigEndian, &count); e != nil {
			return nil, errShort
		}
		for range count {
			r.headers = append(r.headers, header{string(take()), take()})
		}
		all = append(all, r)
	}
	return all, err
}
