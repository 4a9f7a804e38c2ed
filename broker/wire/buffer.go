package wire

import (
	"math/bits"
	"sync"
)

const (
	minClassBits = 9  // 512 bytes
	maxClassBits = 22 // 4 MiB; larger buffers are left to the garbage collector
	// Between two powers of two lie four classes, so at most a fifth of a buffer is unused.
	classSteps = 4
)

// pools holds a pool per size class. Buffers come out of it as they went in: nothing is zeroed.
var pools [(maxClassBits-minClassBits)*classSteps + 1]sync.Pool

// Buffer is a byte slice on loan from a pool of its size class. It belongs to one owner, who frees it once.
type Buffer struct {
	b     []byte
	class int8 // index into pools, or -1: too large to be kept
}

// GetBuffer returns a buffer of n bytes whose content is undefined.
func GetBuffer(n int) *Buffer {
	class, size := sizeClass(n)
	if class < 0 {
		return &Buffer{b: make([]byte, n), class: -1}
	}
	if buf, _ := pools[class].Get().(*Buffer); buf != nil {
		buf.b = buf.b[:n]
		return buf
	}
	return &Buffer{b: make([]byte, n, size), class: int8(class)}
}

// Bytes returns the content. It must not be used after Free.
func (b *Buffer) Bytes() []byte { return b.b }

// Free gives the buffer back. Nobody may use it, or what aliases it, afterwards. A nil buffer is left alone.
func (b *Buffer) Free() {
	if b == nil || b.class < 0 {
		return
	}
	pools[b.class].Put(b)
}

// sizeClass returns the class whose buffers hold n bytes, and how many they hold; -1 if there is none.
// Classes grow by a quarter of a power of two: 512, 640, 768, 896, 1024, 1280...
func sizeClass(n int) (class, size int) {
	if n <= 1<<minClassBits {
		return 0, 1 << minClassBits
	}
	if n > 1<<maxClassBits {
		return -1, n
	}
	exp := bits.Len(uint(n-1)) - 1 // 1<<exp < n <= 1<<(exp+1)
	step := 1 << exp / classSteps
	steps := (n - 1<<exp + step - 1) / step
	return (exp-minClassBits)*classSteps + steps, 1<<exp + steps*step
}
