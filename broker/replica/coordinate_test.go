package replica

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func (f *fleet) appendFenced(at meta.BrokerID, tp meta.TopicPartition, epoch meta.LeaderEpoch) error {
	return f.nodes[at].m.Append(AppendRequest{Partition: tp, Records: testBatch(1, "x"), Acks: AcksAll, Origin: record.OriginCoordinator,
		Fenced: true, LeaderEpoch: epoch}).Err
}

// What a coordinator read is good for as long as its broker leads without interruption.
func TestCoordinatorsAreFencedByTheReign(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("state", 1, 2)
		check(t, f.commit(tp, 2))
		time.Sleep(time.Second)
		m := f.nodes[1].m
		expect := func(epoch meta.LeaderEpoch, want error) {
			t.Helper()
			_, _, _, boundsErr := m.Reigns(tp, epoch)
			_, _, readErr := m.ReadLed(tp, epoch, 0, 1000)
			for what, err := range map[string]error{"Reigns": boundsErr, "ReadLed": readErr, "AwaitReplicated": m.AwaitReplicated(t.Context(), tp, epoch, 0),
				"Append": f.appendFenced(1, tp, epoch)} {
				if !errors.Is(err, want) {
					t.Errorf("%s in epoch %d: %v, want %v", what, epoch, err, want)
				}
			}
		}
		expect(0, nil)
		expect(1, ErrUnknownLeaderEpoch)
		f.elect(tp, 1, 1, 2)
		expect(0, nil) // it never ceased to lead
		expect(1, nil)
		f.elect(tp, 2, 1, 2)
		synctest.Wait()
		expect(1, ErrNotLeader)
		f.elect(tp, 1, 1, 2)
		time.Sleep(time.Second)
		expect(1, ErrFencedLeaderEpoch)
		expect(3, nil)
		if start, end, epoch, err := m.Reigns(tp, 3); start != 0 || end != f.log(1, tp).LogEndOffset() || epoch != 3 || err != nil {
			t.Errorf("reigns %d to %d in %d: %v", start, end, epoch, err)
		}
	})
}

func TestAwaitReplicated(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("state", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		check(t, f.appendFenced(1, tp, 0))
		m := f.nodes[1].m
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.AwaitReplicated(ctx, tp, 0, 1); !errors.Is(err, ErrTimedOut) {
			t.Errorf("without the follower: %v", err)
		}
		done := make(chan error, 1)
		go func() { done <- m.AwaitReplicated(t.Context(), tp, 0, 1) }()
		f.setDeaf(1, 2, false)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReadLedReadsWholeBatches(t *testing.T) {
	inFleet(t, 1, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("state", 1)
		for range 5 {
			check(t, f.appendFenced(1, tp, 0))
		}
		all := f.content(1, tp)
		var got []byte
		reads := 0
		for next := int64(0); ; reads++ {
			batches, after, err := f.nodes[1].m.ReadLed(tp, 0, next, len(all)/2)
			check(t, err)
			got = append(got, batches...)
			if after == next {
				break
			}
			next = after
		}
		if !bytes.Equal(got, all) || reads != 3 {
			t.Errorf("%d bytes of %d in %d reads", len(got), len(all), reads)
		}
	})
}
