package txn

import "errors"

// Why the coordinator of a transactional id refuses. Those of package coord come on top.
var (
	// ErrInvalidRequest: a request that makes no sense, such as one without a transactional id.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrInvalidProducerIDMapping: the transactional id is unknown, or has another producer id.
	ErrInvalidProducerIDMapping = errors.New("transactional id and producer id do not belong together")
	// ErrProducerFenced: a newer producer uses the transactional id.
	ErrProducerFenced = errors.New("producer fenced")
	// ErrConcurrentTransactions: the last transition, or the last transaction, is not through yet. To be tried again.
	ErrConcurrentTransactions = errors.New("concurrent transactions")
	// ErrInvalidTxnState: not in this state of the transaction.
	ErrInvalidTxnState = errors.New("invalid transaction state")
	// ErrInvalidTimeout: the transaction timeout is not positive, or above transaction.max.timeout.ms.
	ErrInvalidTimeout = errors.New("invalid transaction timeout")
	// ErrNotFound: nothing is known of the transactional id.
	ErrNotFound = errors.New("transactional id not found")
	// ErrAbortable: the transaction does not hold what it was believed to; its producer may abort it and go on (KIP-890).
	ErrAbortable = errors.New("transaction abortable")
)
