package metadata

import (
	"encoding/binary"
	"iter"
	"maps"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// shardCount is how many maps an index is made of. A change copies one of them and the list: with twenty thousand
// topics some twenty entries and 8 KiB, in place of all.
const shardCount = 1024

// An index finds topics by K. Values of it share the shards they do not differ in; a shard is never changed once an
// index with it was published.
type index[K comparable] struct {
	shards []map[K]*Topic // shardCount, or none; a nil map is an empty shard
	len    int
}

func (x *index[K]) get(hash uint32, k K) *Topic {
	if x.shards == nil {
		return nil
	}
	return x.shards[hash%shardCount][k]
}

func (x *index[K]) all() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, shard := range x.shards {
			for _, t := range shard {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// An indexEditor makes the next index out of one, copying a shard when it is first written.
type indexEditor[K comparable] struct {
	index[K]
	own []bool // by shard: copied already
}

func edit[K comparable](x index[K]) *indexEditor[K] {
	shards := make([]map[K]*Topic, shardCount)
	copy(shards, x.shards)
	return &indexEditor[K]{index: index[K]{shards, x.len}, own: make([]bool, shardCount)}
}

// shard returns the shard of a hash, ready to be changed.
func (e *indexEditor[K]) shard(hash uint32) map[K]*Topic {
	i := hash % shardCount
	if !e.own[i] {
		e.own[i] = true
		if e.shards[i] == nil {
			e.shards[i] = map[K]*Topic{}
		} else {
			e.shards[i] = maps.Clone(e.shards[i])
		}
	}
	return e.shards[i]
}

func (e *indexEditor[K]) put(hash uint32, k K, t *Topic) {
	shard := e.shard(hash)
	if _, ok := shard[k]; !ok {
		e.len++
	}
	shard[k] = t
}

func (e *indexEditor[K]) remove(hash uint32, k K) {
	if e.get(hash, k) != nil {
		delete(e.shard(hash), k)
		e.len--
	}
}

// hashName is FNV-1a: topic names come from the controller, so nobody can choose them to collide.
func hashName(name string) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h ^ h>>16
}

// hashID takes some of the random bits of a UUID.
func hashID(id meta.TopicID) uint32 { return binary.LittleEndian.Uint32(id[10:]) }
