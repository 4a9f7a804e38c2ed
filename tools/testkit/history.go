package testkit

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// History gathers what clients of a fleet did and saw while things went wrong, and says afterwards what cannot be: see
// [History.Check]. All methods may be called by many goroutines at once.
//
// Every record carries its producer's name and a number that counts up per producer and partition, from 0.
type History struct {
	mu struct {
		sync.Mutex
		sent   map[stream]int64 // how many records a producer has sent to a partition
		loose  map[string]bool  // producers that may repeat themselves
		acked  []Placed
		reads  map[reader][]Placed // in the order they were read
		ends   []EndSeen
		epochs []EpochSeen
	}
}

// HistoryPartition names a partition.
type HistoryPartition struct {
	Topic     string
	Partition int32
}

func (p HistoryPartition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// Written is one record as its producer knows it.
type Written struct {
	Producer string
	Number   int64
}

// Placed is a record at its place.
type Placed struct {
	HistoryPartition
	Offset int64
	Written
	LeaderEpoch int32 // of the batch; -1: unknown
}

func (p Placed) String() string {
	return fmt.Sprintf("%s/%d at offset %d of %s", p.Producer, p.Number, p.Offset, p.HistoryPartition)
}

// EndSeen is an answer to the question how far a partition can be read.
type EndSeen struct {
	HistoryPartition
	End          int64
	Asked, Heard time.Time
}

// EpochSeen is what one observer, who asks one question after another, heard of a partition's leader epoch.
type EpochSeen struct {
	HistoryPartition
	Observer string
	Epoch    int32
}

type stream struct {
	producer string
	HistoryPartition
}

type reader struct {
	name string
	HistoryPartition
}

// Violation is something that must not have happened.
type Violation struct {
	Kind ViolationKind
	What string
}

func (v Violation) String() string { return string(v.Kind) + ": " + v.What }

// ViolationKind says which promise was broken.
type ViolationKind string

const (
	Lost          ViolationKind = "lost"            // acknowledged, and not there
	Misplaced     ViolationKind = "misplaced"       // acknowledged at one offset, found at another
	Duplicated    ViolationKind = "duplicated"      // there twice, from an idempotent producer
	Reordered     ViolationKind = "reordered"       // two records of a producer in the wrong order
	Invented      ViolationKind = "invented"        // there, and nobody sent it
	Changed       ViolationKind = "changed"         // readable once, and afterwards not there, or another record
	Jumped        ViolationKind = "jumped"          // a consumer was led back, or past records
	EndWentBack   ViolationKind = "end went back"   // less was readable than before
	EpochWentBack ViolationKind = "epoch went back" // a leader epoch was followed by a smaller one
)

// NewHistory returns an empty history.
func NewHistory() *History {
	h := &History{}
	h.mu.sent, h.mu.loose, h.mu.reads = map[stream]int64{}, map[string]bool{}, map[reader][]Placed{}
	return h
}

// NotIdempotent says that a producer may write a record twice, and later ones before earlier ones, when it tries again.
func (h *History) NotIdempotent(producer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.loose[producer] = true
}

// Send notes that a producer is about to send its next record to a partition, and returns the record's number.
func (h *History) Send(producer string, p HistoryPartition) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := stream{producer, p}
	n := h.mu.sent[s]
	h.mu.sent[s] = n + 1
	return n
}

// Acknowledge notes that a record was acknowledged.
func (h *History) Acknowledge(a Placed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.acked = append(h.mu.acked, a)
}

// Acknowledged is how many records were.
func (h *History) Acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mu.acked)
}

// Read notes what a consumer that follows a partition read next.
func (h *History) Read(consumer string, r Placed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := reader{consumer, r.HistoryPartition}
	h.mu.reads[key] = append(h.mu.reads[key], r)
}

// SeeEnd notes how far a partition was readable.
func (h *History) SeeEnd(e EndSeen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.ends = append(h.mu.ends, e)
}

// SeeEpoch notes a leader epoch.
func (h *History) SeeEpoch(e EpochSeen) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.epochs = append(h.mu.epochs, e)
}

// Check compares the history with what is in the partitions at the end, every record of each in the order of offsets, and how
// far each can be read, and returns what must not have happened.
func (h *History) Check(final []Placed, ends map[HistoryPartition]int64) []Violation {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := check{loose: h.mu.loose, found: map[HistoryPartition][]Placed{}, at: map[HistoryPartition]map[int64]Placed{}}
	for _, p := range final {
		c.found[p.HistoryPartition] = append(c.found[p.HistoryPartition], p)
		if c.at[p.HistoryPartition] == nil {
			c.at[p.HistoryPartition] = map[int64]Placed{}
		}
		c.at[p.HistoryPartition][p.Offset] = p
	}
	c.partitions(h.mu.sent)
	c.acknowledged(h.mu.acked)
	c.reads(h.mu.reads)
	c.ends(h.mu.ends, ends)
	c.epochs(h.mu.epochs)
	slices.SortFunc(c.violations, func(a, b Violation) int { return strings.Compare(a.String(), b.String()) })
	return c.violations
}

type check struct {
	loose      map[string]bool
	found      map[HistoryPartition][]Placed
	at         map[HistoryPartition]map[int64]Placed
	violations []Violation
}

func (c *check) add(k ViolationKind, format string, args ...any) {
	c.violations = append(c.violations, Violation{k, fmt.Sprintf(format, args...)})
}

// partitions looks at what is there: records somebody sent, each once, each producer's in order, leader epochs rising.
func (c *check) partitions(sent map[stream]int64) {
	for p, records := range c.found {
		last := map[string]Placed{}
		seen := map[Written]Placed{}
		for i, r := range records {
			if r.Number < 0 || r.Number >= sent[stream{r.Producer, p}] {
				c.add(Invented, "%v", r)
				continue
			}
			if i > 0 && r.LeaderEpoch >= 0 && r.LeaderEpoch < records[i-1].LeaderEpoch {
				c.add(EpochWentBack, "%v was written in leader epoch %d, after one of epoch %d", r, r.LeaderEpoch, records[i-1].LeaderEpoch)
			}
			if c.loose[r.Producer] {
				continue
			}
			if first, again := seen[r.Written]; again {
				c.add(Duplicated, "%v, and at offset %d", r, first.Offset)
				continue
			}
			seen[r.Written] = r
			if before, any := last[r.Producer]; any && r.Number < before.Number {
				c.add(Reordered, "%v, behind %v", r, before)
			}
			last[r.Producer] = r
		}
	}
}

// acknowledged looks for every record that was acknowledged, at the place that the acknowledgement named.
func (c *check) acknowledged(acked []Placed) {
	where := map[stream]map[int64]int64{} // number to offset
	for p, records := range c.found {
		for _, r := range records {
			s := stream{r.Producer, p}
			if where[s] == nil {
				where[s] = map[int64]int64{}
			}
			where[s][r.Number] = r.Offset
		}
	}
	for _, a := range acked {
		offset, there := where[stream{a.Producer, a.HistoryPartition}][a.Number]
		switch {
		case !there:
			c.add(Lost, "%v", a)
		case a.Offset >= 0 && offset != a.Offset && c.at[a.HistoryPartition][a.Offset].Written != a.Written:
			c.add(Misplaced, "%v is at offset %d", a, offset)
		}
	}
}

// reads looks whether everything a consumer read is still there, and whether it read on without a gap and never backwards.
func (c *check) reads(reads map[reader][]Placed) {
	for who, records := range reads {
		final := c.found[who.HistoryPartition]
		for i, r := range records {
			if now, there := c.at[r.HistoryPartition][r.Offset]; !there || now.Written != r.Written {
				c.add(Changed, "%s read %v; there is %v now", who.name, r, now)
			}
			if i == 0 {
				continue
			}
			before := records[i-1]
			if r.Offset <= before.Offset {
				c.add(Jumped, "%s read %v after %v", who.name, r, before)
				continue
			}
			at, _ := slices.BinarySearchFunc(final, before.Offset+1, func(p Placed, offset int64) int { return int(p.Offset - offset) })
			if at < len(final) && final[at].Offset < r.Offset {
				c.add(Jumped, "%s read %v after %v, without %v", who.name, r, before, final[at])
			}
		}
	}
}

// ends compares answers of which one was asked for after the other had been heard.
func (c *check) ends(ends []EndSeen, now map[HistoryPartition]int64) {
	byPartition := map[HistoryPartition][]EndSeen{}
	for _, e := range ends {
		byPartition[e.HistoryPartition] = append(byPartition[e.HistoryPartition], e)
	}
	for p, seen := range byPartition {
		asked := slices.SortedFunc(slices.Values(seen), func(a, b EndSeen) int { return a.Asked.Compare(b.Asked) })
		heard := slices.SortedFunc(slices.Values(seen), func(a, b EndSeen) int { return a.Heard.Compare(b.Heard) })
		var furthest EndSeen
		i := 0
		for _, e := range asked {
			for ; i < len(heard) && heard[i].Heard.Before(e.Asked); i++ {
				if heard[i].End > furthest.End {
					furthest = heard[i]
				}
			}
			if e.End < furthest.End {
				c.add(EndWentBack, "%s was readable up to %d at %s, and only to %d at %s", p, furthest.End,
					furthest.Heard.Format(time.StampMilli), e.End, e.Heard.Format(time.StampMilli))
			}
		}
		for _, e := range heard[i:] {
			if e.End > furthest.End {
				furthest = e
			}
		}
		if now[p] < furthest.End {
			c.add(EndWentBack, "%s was readable up to %d at %s, and ends at %d now", p, furthest.End, furthest.Heard.Format(time.StampMilli), now[p])
		}
	}
}

// epochs looks at each observer's answers in order.
func (c *check) epochs(epochs []EpochSeen) {
	type view struct {
		observer string
		HistoryPartition
	}
	highest := map[view]int32{}
	for _, e := range epochs {
		v := view{e.Observer, e.HistoryPartition}
		if before, known := highest[v]; known && e.Epoch < before {
			c.add(EpochWentBack, "%s heard of leader epoch %d of %s after %d", e.Observer, e.Epoch, e.HistoryPartition, before)
			continue
		}
		highest[v] = e.Epoch
	}
}
