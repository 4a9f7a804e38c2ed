package storage

import "github.com/kraal-mq/kraal/zkstore/meta"

// AppendOptions says who appends.
type AppendOptions struct {
	// LeaderEpoch is patched into every batch and assigned in the epoch history.
	LeaderEpoch meta.LeaderEpoch
	// FromCoordinator marks appends of the group and transaction coordinators: markers, offset commits, metadata.
	// Of their producers only the epoch is checked, not the sequence.
	FromCoordinator bool
	// Verified is the guard StartVerification gave for a transactional batch (KIP-890). Without one, and with no
	// transaction of the producer open, a transactional batch is refused with ErrInvalidTxnState if
	// ManagerOptions.VerifyTransactions is set.
	Verified VerificationGuard
}

// AppendInfo is the result of an append.
type AppendInfo struct {
	FirstOffset    int64 // -1 if nothing was appended
	LastOffset     int64
	MaxTimestamp   int64 // largest of the batches; -1 none
	LogAppendTime  int64 // what the broker stamped the batches with; -1 with CreateTime
	LogStartOffset int64
	LEO            int64            // log end offset after the append
	LeaderEpoch    meta.LeaderEpoch // of the last batch
	Bytes          int              // written; 0 for a duplicate
	Batches        int
	Records        int // by the headers' counts
	// Duplicate: an idempotent producer sent a batch again that is in the log already. Nothing was written; the offsets
	// are those of the first time.
	Duplicate bool
}

// VerificationGuard proves that the transaction coordinator was asked about a transaction before its first batch was
// appended here (KIP-890). The zero value proves nothing.
type VerificationGuard struct{ id uint64 }
