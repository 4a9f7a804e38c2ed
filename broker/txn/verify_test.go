package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/kraal-mq/kraal/broker/coord"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// oracle is another broker's coordinator.
type oracle struct {
	mu     sync.Mutex
	asked  []string
	answer func(v Verification, tp meta.TopicPartition) wire.Code
	err    error
	freeze chan struct{}
}

func (o *oracle) VerifyPartitions(ctx context.Context, at meta.BrokerID, vs []Verification) ([][]wire.Code, error) {
	o.mu.Lock()
	var what []string
	for _, v := range vs {
		what = append(what, fmt.Sprintf("%s/%d%v", v.Producer.TransactionalID, v.Producer.Epoch, v.Partitions))
	}
	slices.Sort(what)
	o.asked = append(o.asked, fmt.Sprintf("%d: %s", at, strings.Join(what, " ")))
	freeze, err := o.freeze, o.err
	o.mu.Unlock()
	if freeze != nil {
		select {
		case <-freeze:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	var codes [][]wire.Code
	for _, v := range vs {
		var own []wire.Code
		for _, tp := range v.Partitions {
			if o.answer != nil {
				own = append(own, o.answer(v, tp))
			} else {
				own = append(own, wire.None)
			}
		}
		codes = append(codes, own)
	}
	return codes, nil
}

func verifying(t *testing.T, leader meta.BrokerID, f func(t *testing.T, b *bench, o *oracle, v *Verifier)) {
	inBubble(t, func(t *testing.T, b *bench) {
		if leader >= 0 {
			b.lead(leader)
		}
		o := &oracle{}
		v := NewVerifier(1, b.c, b.fleet, o, 10*time.Second)
		defer v.Close()
		f(t, b, o, v)
	})
}

// lead names the leader of the transaction log.
func (b *bench) lead(leader meta.BrokerID) {
	b.leadersOf(Topic, leader)
}

func ask1(v *Verifier, id string, epoch int16, partitions ...string) string {
	var got []string
	for _, err := range v.Verify(context.Background(), Verification{Producer{id, 1000, epoch}, tps(partitions...)}) {
		switch {
		case err == nil:
			got = append(got, "OK")
		case errors.Is(err, ErrNoAnswer):
			got = append(got, "no answer")
		default:
			got = append(got, err.Error())
		}
	}
	return strings.Join(got, ", ")
}

func TestVerifierAsksItsOwnCoordinator(t *testing.T) {
	verifying(t, 1, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
		p := b.prepare("x", "a0")
		if got, want := ask1(v, "x", p.epoch, "a0", "a1"), "OK, "+ErrAbortable.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if len(o.asked) > 0 {
			t.Errorf("asked others: %v", o.asked)
		}
		var refused dto.Metric
		if err := b.c.metrics.refused.Write(&refused); err != nil || refused.GetCounter().GetValue() != 1 {
			t.Errorf("%v refused are counted (%v)", refused.GetCounter().GetValue(), err)
		}
	})
}

func TestVerifierAsksOthers(t *testing.T) {
	verifying(t, 2, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
		o.answer = func(_ Verification, at meta.TopicPartition) wire.Code {
			if at == tp("a", 1) {
				return wire.ErrTransactionAbortable
			}
			return wire.None
		}
		if got, want := ask1(v, "x", 0, "a0", "a1", "b0"), "OK, "+wire.ErrTransactionAbortable.Error()+", OK"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if !slices.Equal(o.asked, []string{"2: x/0[a-0 a-1 b-0]"}) {
			t.Errorf("asked %q", o.asked)
		}
	})
}

func TestVerifierWithoutCoordinator(t *testing.T) {
	verifying(t, -1, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
		if got := ask1(v, "x", 0, "a0"); got != coord.ErrNotAvailable.Error() {
			t.Errorf("the topic is unknown: %s", got)
		}
		b.leadersOf(Topic, meta.NoBroker)
		if got := ask1(v, "x", 0, "a0"); got != coord.ErrNotAvailable.Error() {
			t.Errorf("without leader: %s", got)
		}
	})
}

// While a question is under way the next ones gather, but never two about one transactional id.
func TestVerifierGathers(t *testing.T) {
	verifying(t, 2, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
		o.freeze = make(chan struct{})
		var wg sync.WaitGroup
		later := func(id string, epoch int16, partition string) {
			wg.Go(func() {
				if got := ask1(v, id, epoch, partition); got != "OK" {
					t.Errorf("%s: %s", id, got)
				}
			})
			synctest.Wait()
		}
		later("w", 0, "a0")
		later("x", 0, "a0")
		later("y", 0, "a1")
		later("x", 1, "b0")
		close(o.freeze)
		wg.Wait()
		if want := []string{"2: w/0[a-0]", "2: x/0[a-0] y/0[a-1]", "2: x/1[b-0]"}; !slices.Equal(o.asked, want) {
			t.Errorf("asked %q, want %q", o.asked, want)
		}
	})
}

// Not to know is never taken for a yes.
func TestVerifierFailures(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("connection reset"), "no answer"},
		{wire.ErrUnsupportedVersion, "OK"}, // a broker of before KIP-890
		{wire.ErrClusterAuthorizationFailed, ErrInvalidTxnState.Error()},
		{wire.ErrCoordinatorLoadInProgress, wire.ErrCoordinatorLoadInProgress.Error()},
	} {
		verifying(t, 2, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
			o.err = c.err
			if got := ask1(v, "x", 0, "a0"); got != c.want {
				t.Errorf("%v: %s, want %s", c.err, got, c.want)
			}
		})
	}
	verifying(t, 2, func(t *testing.T, b *bench, o *oracle, v *Verifier) {
		o.freeze = make(chan struct{})
		began := time.Now()
		if got := ask1(v, "x", 0, "a0"); got != "no answer" || time.Since(began) != 10*time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
	})
	q := &question{Verification: Verification{Partitions: tps("a0", "a1")}}
	q.answered([]wire.Code{wire.None})
	if q.errs[0] != nil || !errors.Is(q.errs[1], ErrNoAnswer) {
		t.Errorf("an answer that leaves out a partition: %v", q.errs)
	}
	if q.answered(nil); !errors.Is(q.errs[0], ErrNoAnswer) {
		t.Errorf("an answer that leaves out everything: %v", q.errs)
	}
}
