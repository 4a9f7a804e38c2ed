package txn

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Verification asks whether partitions are part of a producer's transaction (KIP-890).
type Verification struct {
	Producer   Producer
	Partitions []meta.TopicPartition
}

// Asker asks another broker's coordinator. It returns a code for each partition of each verification. wire.ErrUnsupportedVersion
// as an error: that broker is too old to be asked. Met in package broker.
type Asker interface {
	VerifyPartitions(ctx context.Context, at meta.BrokerID, v []Verification) ([][]wire.Code, error)
}

// Verifier asks the coordinators of transactions, here or elsewhere, before the first record of a transaction is appended to a
// partition. Without that, a record sent before its producer was fenced, and late, would open a transaction that nobody ends.
type Verifier struct {
	self    meta.BrokerID
	own     *Coordinator
	fleet   *metadata.Cache
	asker   Asker
	timeout time.Duration

	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		desks map[meta.BrokerID]*desk
	}
}

// desk gathers what is to be asked of one broker, one request at a time.
type desk struct {
	asking  bool
	waiting []*question
}

type question struct {
	Verification
	errs   []error
	closed chan struct{} // closed by who answers
}

// NewVerifier returns a verifier for a broker that waits for answers as long as timeout. It is to be closed.
func NewVerifier(self meta.BrokerID, own *Coordinator, fleet *metadata.Cache, asker Asker, timeout time.Duration) *Verifier {
	v := &Verifier{self: self, own: own, fleet: fleet, asker: asker, timeout: timeout}
	v.mu.desks = make(map[meta.BrokerID]*desk)
	v.life, v.end = context.WithCancel(context.Background())
	return v
}

// Close ends what is being asked. Nothing may be asked afterwards.
func (v *Verifier) Close() {
	v.end()
	v.running.Wait()
}

// ErrNoAnswer means that it is not known whether a partition is part of a transaction, because the coordinator did not answer.
var ErrNoAnswer = errors.New("the transaction coordinator did not answer")

// Verify returns nil for each partition that is part of the producer's transaction, or why it is not or cannot be known:
// ErrAbortable, ErrProducerFenced, ErrInvalidProducerIDMapping, ErrConcurrentTransactions, coord's errors, ErrNoAnswer.
func (v *Verifier) Verify(ctx context.Context, q Verification) []error {
	began := time.Now()
	errs := v.verify(ctx, q)
	v.own.metrics.verification(began, errs)
	return errs
}

func (v *Verifier) verify(ctx context.Context, q Verification) []error {
	number := v.own.runtime.PartitionFor(q.Producer.TransactionalID)
	p := v.fleet.Load().Partition(Topic, number)
	if p == nil || p.Leader < 0 {
		return all(q, coord.ErrNotAvailable)
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	if p.Leader == v.self {
		return v.own.VerifyPartitions(ctx, q.Producer, q.Partitions)
	}
	one := &question{Verification: q, closed: make(chan struct{})}
	v.enqueue(p.Leader, one)
	select {
	case <-one.closed:
		return one.errs
	case <-ctx.Done():
		return all(q, ErrNoAnswer)
	}
}

func all(q Verification, err error) []error { return slices.Repeat([]error{err}, len(q.Partitions)) }

func (v *Verifier) enqueue(at meta.BrokerID, q *question) {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.mu.desks[at]
	if d == nil {
		d = &desk{}
		v.mu.desks[at] = d
	}
	d.waiting = append(d.waiting, q)
	if !d.asking {
		d.asking = true
		v.running.Go(func() { v.ask(at, d) })
	}
}

// next takes what can be asked together: of each transactional id one question, since coordinators answer by id.
func (v *Verifier) next(d *desk) []*question {
	v.mu.Lock()
	defer v.mu.Unlock()
	var batch, later []*question
	asked := make(map[string]struct{})
	for _, q := range d.waiting {
		if _, again := asked[q.Producer.TransactionalID]; again {
			later = append(later, q)
			continue
		}
		asked[q.Producer.TransactionalID] = struct{}{}
		batch = append(batch, q)
	}
	d.waiting = later
	d.asking = len(batch) > 0
	return batch
}

func (v *Verifier) ask(at meta.BrokerID, d *desk) {
	for {
		batch := v.next(d)
		if len(batch) == 0 {
			return
		}
		questions := make([]Verification, len(batch))
		for i, q := range batch {
			questions[i] = q.Verification
		}
		ctx, cancel := context.WithTimeout(v.life, v.timeout)
		codes, err := v.asker.VerifyPartitions(ctx, at, questions)
		cancel()
		for i, q := range batch {
			switch {
			case errors.Is(err, wire.ErrUnsupportedVersion):
				q.errs = all(q.Verification, nil) // that broker does not verify, so this one cannot
			case err != nil:
				q.errs = all(q.Verification, unanswered(err))
			case i < len(codes):
				q.answered(codes[i])
			default:
				q.answered(nil)
			}
			close(q.closed)
		}
	}
}

// answered takes the codes for the partitions of a question.
func (q *question) answered(codes []wire.Code) {
	q.errs = all(q.Verification, ErrNoAnswer)
	for i := range min(len(codes), len(q.errs)) {
		q.errs[i] = codes[i].Err()
	}
}

// unanswered sorts why a request as a whole failed: by an answer that says so, or for want of one.
func unanswered(err error) error {
	var code wire.Code
	switch {
	case !errors.As(err, &code):
		return errors.Join(ErrNoAnswer, err)
	case code == wire.ErrClusterAuthorizationFailed:
		return ErrInvalidTxnState
	}
	return code
}
