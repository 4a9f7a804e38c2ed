package replica

// remoteEnd is what the high watermark must know of one remote replica.
type remoteEnd struct {
	leo   int64 // -1: unknown, holds the watermark where it is
	holds bool  // in the maximal ISR, or caught up and alive: the watermark may not pass it
}

// nextWatermark returns the offset below which everything is on every replica that counts.
// The result may lie below the present high watermark; the caller never lowers it.
//
// minISR is the effective minimum: while the committed ISR is smaller the watermark stands still, whatever acks were used,
// so that nothing readable rests on too few copies (Kafka's Partition.maybeIncrementLeaderHW).
func nextWatermark(hw, leo int64, committedISR, minISR int, remotes []remoteEnd) int64 {
	if committedISR < minISR {
		return hw
	}
	next := leo
	for _, r := range remotes {
		if r.holds && r.leo < next {
			next = r.leo
		}
	}
	return next
}

// effectiveMinISR caps min.insync.replicas by the number of replicas there are.
func effectiveMinISR(configured, replicas int) int {
	return max(1, min(configured, replicas))
}
