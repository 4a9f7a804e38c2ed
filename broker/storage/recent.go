package storage

// recentBatches remembers where the newest batches of a segment lie, so that followers and consumers at the end of the
// log, and the limits of their reads, are found without touching a file. Contiguous up to the end of the segment; it
// may be empty. Guarded by segment.mu.
type recentBatches []recentBatch

type recentBatch struct {
	base, last int64
	pos        int64
}

const maxRecent = 32

// add notes a batch.
func (r *recentBatches) add(base, last, pos int64) {
	if *r == nil {
		*r = make(recentBatches, 0, maxRecent)
	}
	if len(*r) == maxRecent {
		*r = (*r)[:copy(*r, (*r)[maxRecent/2:])]
	}
	*r = append(*r, recentBatch{base, last, pos})
}

// find returns the first batch that ends at or after offset and where it ends; size is that of the segment. known is
// false if the batch may lie before those remembered.
func (r recentBatches) find(offset, size int64) (b located, ok, known bool) {
	if len(r) == 0 || offset < r[0].base {
		return located{}, false, false
	}
	for i := range r {
		if r[i].last >= offset {
			end := size
			if i+1 < len(r) {
				end = r[i+1].pos
			}
			return located{r[i].base, r[i].last, r[i].pos, end - r[i].pos}, true, true
		}
	}
	return located{}, false, true
}

// located is where a batch lies in a segment.
type located struct {
	base, last int64
	pos, size  int64
}
