package replica

import "github.com/kraal-mq/kraal/zkstore/meta"

// epochEnd is a leader epoch and the offset at which it ends (exclusive); both -1 when undefined.
type epochEnd struct {
	epoch meta.LeaderEpoch
	end   int64
}

var noEpochEnd = epochEnd{epoch: meta.NoLeaderEpoch, end: -1}

// truncation says where a follower must cut its log.
type truncation struct {
	offset int64
	// done is false when the leader must be asked again, because the epoch it named is unknown to the follower.
	done bool
}

// truncateTo decides from the leader's answer (the largest epoch it has that is not above the one asked for, and its end)
// and from the follower's own lookup of the same epoch. fetchOffset is where the follower wants to fetch next,
// leo its log end offset. Follows Kafka's AbstractFetcherThread.getOffsetTruncationState (KIP-101, KIP-279).
func truncateTo(leader, own epochEnd, fetchOffset, leo int64) truncation {
	switch {
	case leader.end < 0:
		// The leader knows nothing of the epoch: keep what is there and let the fetch itself find out.
		return truncation{offset: min(fetchOffset, leo), done: true}
	case leader.epoch == meta.NoLeaderEpoch:
		return truncation{offset: min(leader.end, leo), done: true}
	case own.end < 0:
		return truncation{offset: min(leader.end, leo), done: true}
	case own.epoch != leader.epoch:
		return truncation{offset: min(own.end, leo), done: false}
	default:
		return truncation{offset: min(own.end, leader.end, leo), done: true}
	}
}
