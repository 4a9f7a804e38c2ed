package javatext

import (
	"slices"
	"unicode/utf16"
)

// StringHash is String.hashCode.
func StringHash(s string) int32 {
	var h int32
	for _, unit := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(unit)
	}
	return h
}

// A HashTable gives elements in the order of Scala's mutable.HashSet and mutable.HashMap (2.13): by slot of the table,
// which doubles as it fills, and within a slot by hash. Elements must differ.
type HashTable[E any] struct {
	elements []hashed[E]
	size     int // of the table
}

type hashed[E any] struct {
	hash    int32
	element E
}

const (
	firstTableSize = 16
	loadFactor     = 0.75
)

// Reserve is the size hint that adding a whole collection of n elements gives.
func (t *HashTable[E]) Reserve(n int) {
	t.size = max(t.size, firstTableSize)
	for t.size < int(float64(n+1)/loadFactor) {
		t.size *= 2
	}
}

// Add puts in an element with this hashCode.
func (t *HashTable[E]) Add(hash int32, e E) {
	t.size = max(t.size, firstTableSize)
	if len(t.elements)+1 >= int(float64(t.size)*loadFactor) {
		t.size *= 2
	}
	t.elements = append(t.elements, hashed[E]{hash ^ int32(uint32(hash)>>16), e})
}

// All returns the elements in order.
func (t *HashTable[E]) All() []E {
	mask := int32(t.size - 1)
	sorted := slices.Clone(t.elements)
	slices.SortStableFunc(sorted, func(a, b hashed[E]) int {
		if x, y := a.hash&mask, b.hash&mask; x != y {
			return int(x) - int(y)
		}
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return 0
	})
	all := make([]E, len(sorted))
	for i, e := range sorted {
		all[i] = e.element
	}
	return all
}
