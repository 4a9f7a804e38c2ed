package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Leading: acknowledgements, reads, offsets, control requests.

// await waits for appends in the background.
func (f *fleet) await(id meta.BrokerID, timeout time.Duration, appended ...Appended) chan struct{} {
	done := make(chan struct{})
	var pending []*Pending
	for i := range appended {
		pending = append(pending, appended[i].Pending())
	}
	go func() {
		defer close(done)
		f.nodes[id].m.Await(context.Background(), timeout, pending)
	}()
	return done
}

func ended(c chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAcknowledgements(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)

		for _, acks := range []int16{0, 1} {
			if a := f.append(1, tp, 1, acks); a.Err != nil || a.Pending() != nil {
				t.Errorf("acks=%d: %v, pending %v", acks, a.Err, a.Pending())
			}
		}
		a := f.append(1, tp, 2, AcksAll)
		if a.Err != nil || a.FirstOffset != 3 || a.LastOffset != 4 {
			t.Fatalf("acks=all: %+v", a)
		}
		timedOut := f.append(1, tp, 1, AcksAll)
		done := f.await(1, time.Minute, a)
		if ended(done) {
			t.Fatal("acknowledged before the follower has it")
		}
		short := f.await(1, 5*time.Second, timedOut)
		time.Sleep(5 * time.Second)
		if !ended(short) || !errors.Is(timedOut.Pending().Err, ErrTimedOut) {
			t.Errorf("after the timeout: %v", timedOut.Pending().Err)
		}
		f.setDeaf(1, 2, false)
		time.Sleep(2 * time.Second)
		if !ended(done) || a.Pending().Err != nil {
			t.Errorf("the follower has it: %v", a.Pending().Err)
		}
	})
}

// A leader that is deposed while producers wait says so at once; also when it leads again in a later epoch, since the log
// may have been cut in between.
func TestAcknowledgementsEndWithTheReign(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		a := f.append(1, tp, 1, AcksAll)
		done := f.await(1, time.Hour, a)
		if ended(done) {
			t.Fatal("acknowledged before the follower has it")
		}
		f.elect(tp, 1, 1, 2) // a new epoch of the same leader: the wait goes on
		if ended(done) {
			t.Fatalf("a new epoch of the same leader ended the wait: %v", a.Pending().Err)
		}
		f.elect(tp, 2, 1, 2)
		if !ended(done) || !errors.Is(a.Pending().Err, ErrNotLeader) {
			t.Errorf("deposed: %v", a.Pending().Err)
		}
		var hint *LeaderError
		if !errors.As(a.Pending().Err, &hint) || hint.Leader != 2 || hint.LeaderEpoch != 2 {
			t.Errorf("the producer is pointed to %+v", hint)
		}
		late := &Pending{p: f.part(1, tp), reign: 0, end: 1}
		f.elect(tp, 1, 1, 2)
		f.nodes[1].m.Await(context.Background(), 0, []*Pending{late})
		if !errors.Is(late.Err, ErrNotLeader) {
			t.Errorf("an acknowledgement from an earlier reign: %v", late.Err)
		}
	})
}

// The ISR may shrink below min.insync.replicas after the append: the records stay, the producer is told.
func TestTooFewReplicasAfterTheAppend(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		f.nodes[1].topic.MinInSyncReplicas = 2
		f.nodes[1].bounce()
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		f.setDeaf(1, 2, true)
		f.setDeaf(1, 3, true)
		time.Sleep(600 * time.Millisecond)
		a := f.append(1, tp, 1, AcksAll)
		p := f.part(1, tp)
		f.log(1, tp).SetHighWatermark(2)
		p.mu.Lock()
		p.mu.isr = []meta.BrokerID{1}
		p.mu.Unlock()
		f.nodes[1].m.Await(context.Background(), time.Second, []*Pending{nil, a.Pending()})
		if !errors.Is(a.Pending().Err, ErrNotEnoughReplicasAfterAppend) {
			t.Errorf("%v", a.Pending().Err)
		}
		if a := f.append(1, tp, 1, AcksAll); !errors.Is(a.Err, ErrNotEnoughReplicas) || f.log(1, tp).LogEndOffset() != 2 {
			t.Errorf("the next append: %v, log end %d", a.Err, f.log(1, tp).LogEndOffset())
		}
		if a := f.append(1, tp, 1, 1); a.Err != nil {
			t.Errorf("acks=1 asks for no replicas: %v", a.Err)
		}
	})
}

func TestAppendIsRefused(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		var hint *LeaderError
		if a := f.append(2, tp, 1, 1); !errors.As(a.Err, &hint) || hint.Leader != 1 || !errors.Is(a.Err, ErrNotLeader) {
			t.Errorf("on a follower: %v", a.Err)
		}
		if a := f.append(1, meta.TopicPartition{Topic: "nowhere"}, 1, 1); !errors.Is(a.Err, ErrUnknownPartition) {
			t.Errorf("unknown: %v", a.Err)
		}
		elsewhere := f.create("elsewhere", 2)
		if a := f.append(1, elsewhere, 1, 1); !errors.As(a.Err, &hint) || hint.Leader != 2 {
			t.Errorf("hosted elsewhere: %v", a.Err)
		}
		damaged := testBatch(1, "x")
		damaged[len(damaged)-1] ^= 1
		if a := f.nodes[1].m.Append(AppendRequest{Partition: tp, Acks: 1, Records: damaged}); !errors.Is(a.Err, record.ErrCorrupt) || !a.Stored || a.FirstOffset != -1 {
			t.Errorf("damaged: %+v", a)
		}
		if a := f.nodes[1].m.Append(AppendRequest{Partition: tp, Acks: AcksAll}); a.Err == nil && a.Pending() != nil {
			t.Errorf("nothing to append, and yet something to wait for: %+v", a)
		}
		f.nodes[1].logs.FailDir("/logs", errors.New("disc on fire"))
		if a := f.append(1, tp, 1, 1); !errors.Is(a.Err, storage.ErrDirOffline) {
			t.Errorf("offline: %v", a.Err)
		}
	})
}

// While it is in doubt whether this broker still leads, it does not answer as a leader: not to producers, not to
// followers, not to those it has kept waiting. Consumers may read what was committed, as from any replica.
func TestALeadershipInDoubtIsNotExercised(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		synctest.Wait()
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		n := f.nodes[1]
		a := f.append(1, tp, 1, AcksAll)
		check(t, a.Err)

		parked := make(chan Fetched, 1)
		go func() {
			parked <- n.m.Fetch(context.Background(), &FetchParams{Replica: 2, MaxWait: time.Second, MinBytes: 1, MaxBytes: 1 << 20, WholeBatch: true},
				[]FetchPartition{{Partition: tp, Offset: 2, LogStart: 0, MaxBytes: 1 << 20, CurrentLeaderEpoch: 0, LastFetchedEpoch: 0}})[0]
		}()
		synctest.Wait()
		n.mayLead.Store(false)
		if r := <-parked; !errors.Is(r.Err, ErrNotLeader) {
			t.Errorf("a fetch that was waiting: %v", r.Err)
		}
		done := f.await(1, time.Second, a)
		if !ended(done) || !errors.Is(a.Pending().Err, ErrNotLeader) {
			t.Errorf("an acknowledgement: %v", a.Pending().Err)
		}
		if a := f.append(1, tp, 1, 1); !errors.Is(a.Err, ErrNotLeader) || errors.As(a.Err, new(*LeaderError)) {
			t.Errorf("an append: %v", a.Err)
		}
		if _, err := n.m.LookupOffset(OffsetQuery{Partition: tp, Timestamp: Latest, CurrentLeaderEpoch: -1, Replica: Consumer}); !errors.Is(err, ErrNotLeader) {
			t.Errorf("ListOffsets: %v", err)
		}
		if _, err := n.m.EndOfEpoch(tp, -1, 0); !errors.Is(err, ErrNotLeader) {
			t.Errorf("OffsetForLeaderEpoch: %v", err)
		}
		d := []Deletion{{Partition: tp, Before: 1}}
		if n.m.DeleteRecords(context.Background(), 0, d); !errors.Is(d[0].Err, ErrNotLeader) {
			t.Errorf("DeleteRecords: %v", d[0].Err)
		}
		n.mayLead.Store(true)
		if a := f.append(1, tp, 1, 1); a.Err != nil {
			t.Errorf("an append with a session again: %v", a.Err)
		}
	})
}

// readAt fetches one partition without waiting.
func (f *fleet) read(id meta.BrokerID, params FetchParams, part FetchPartition) Fetched {
	params.MaxBytes = 1 << 20
	params.WholeBatch = true
	if part.MaxBytes == 0 {
		part.MaxBytes = 1 << 20
	}
	r := f.nodes[id].m.Fetch(context.Background(), &params, []FetchPartition{part})[0]
	r.Release()
	return r
}

// The checks of a fetch, in Kafka's order: the leader epoch comes before the leadership.
func TestReadChecks(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		f.elect(tp, 1, 1, 2)
		f.write(tp, 1)
		time.Sleep(2 * time.Second)
		id := f.parts[tp].id
		none := meta.NoLeaderEpoch
		consumer, old, replica := FetchParams{Replica: Consumer, FromFollower: true}, FetchParams{Replica: Consumer}, FetchParams{Replica: 2}
		for _, test := range []struct {
			name   string
			at     meta.BrokerID
			params FetchParams
			part   FetchPartition
			want   error
		}{
			{"fits", 1, consumer, FetchPartition{Offset: 0, CurrentLeaderEpoch: 1, LastFetchedEpoch: none}, nil},
			{"no epoch said", 1, consumer, FetchPartition{Offset: 6, CurrentLeaderEpoch: none, LastFetchedEpoch: none}, nil},
			{"old epoch", 1, consumer, FetchPartition{CurrentLeaderEpoch: 0, LastFetchedEpoch: none}, ErrFencedLeaderEpoch},
			{"new epoch", 1, consumer, FetchPartition{CurrentLeaderEpoch: 2, LastFetchedEpoch: none}, ErrUnknownLeaderEpoch},
			{"old epoch on a follower", 2, old, FetchPartition{CurrentLeaderEpoch: 0, LastFetchedEpoch: none}, ErrFencedLeaderEpoch},
			{"new epoch on a follower", 2, old, FetchPartition{CurrentLeaderEpoch: 2, LastFetchedEpoch: none}, ErrUnknownLeaderEpoch},
			{"a follower", 2, old, FetchPartition{CurrentLeaderEpoch: 1, LastFetchedEpoch: none}, ErrNotLeader},
			{"a follower, by a consumer that may", 2, consumer, FetchPartition{CurrentLeaderEpoch: 1, LastFetchedEpoch: none}, nil},
			{"a follower, by a replica", 2, FetchParams{Replica: 1}, FetchPartition{CurrentLeaderEpoch: 1, LastFetchedEpoch: none}, ErrNotLeader},
			{"another topic id", 1, consumer, FetchPartition{TopicID: meta.NewTopicID(), CurrentLeaderEpoch: none, LastFetchedEpoch: none}, ErrInconsistentTopicID},
			{"its topic id", 1, consumer, FetchPartition{TopicID: id, CurrentLeaderEpoch: none, LastFetchedEpoch: none}, nil},
			{"not hosted", 3, consumer, FetchPartition{CurrentLeaderEpoch: none, LastFetchedEpoch: none}, ErrNotLeader},
			{"no replica, with an epoch", 1, FetchParams{Replica: 3}, FetchPartition{CurrentLeaderEpoch: 1, LastFetchedEpoch: none}, ErrUnknownLeaderEpoch},
			{"no replica, without", 1, FetchParams{Replica: 3}, FetchPartition{CurrentLeaderEpoch: none, LastFetchedEpoch: none}, ErrNotLeader},
			{"above the end", 1, consumer, FetchPartition{Offset: 7, CurrentLeaderEpoch: none, LastFetchedEpoch: none}, storage.ErrOffsetOutOfRange},
			{"below the start", 1, consumer, FetchPartition{Offset: -1, CurrentLeaderEpoch: none, LastFetchedEpoch: none}, storage.ErrOffsetOutOfRange},
			{"an epoch nobody had", 1, replica, FetchPartition{Offset: 5, CurrentLeaderEpoch: none, LastFetchedEpoch: 9}, storage.ErrOffsetOutOfRange},
		} {
			test.part.Partition = tp
			if r := f.read(test.at, test.params, test.part); !errors.Is(r.Err, test.want) || test.want == nil && r.Err != nil {
				t.Errorf("%s: %v, want %v", test.name, r.Err, test.want)
			} else if r.Err != nil && (r.HighWatermark != -1 || r.LogStartOffset != -1 || r.LastStableOffset != -1) {
				t.Errorf("%s: an error with offsets: %+v", test.name, r)
			}
		}
		r := f.read(1, replica, FetchPartition{Partition: tp, Offset: 6, CurrentLeaderEpoch: 1, LastFetchedEpoch: 0})
		if r.Err != nil || r.Diverging == nil || *r.Diverging != (Divergence{Epoch: 0, EndOffset: 5}) || r.Bytes() != 0 {
			t.Errorf("a follower at 6 of epoch 0: %+v", r)
		}
	})
}

// How far each kind of reader sees.
func TestReadLimits(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		f.setDeaf(1, 2, true)
		time.Sleep(600 * time.Millisecond)
		f.write(tp, 3)
		at := func(o int64) FetchPartition {
			return FetchPartition{Partition: tp, Offset: o, CurrentLeaderEpoch: meta.NoLeaderEpoch, LastFetchedEpoch: meta.NoLeaderEpoch}
		}
		for _, test := range []struct {
			name   string
			params FetchParams
			from   int64
			want   bool // data
		}{
			{"committed", FetchParams{Replica: Consumer}, 4, true},
			{"above the high watermark", FetchParams{Replica: Consumer}, 5, false},
			{"read committed", FetchParams{Replica: Consumer, Isolation: ReadCommitted}, 0, true},
			{"a replica", FetchParams{Replica: 2}, 5, true},
			{"a debugger", FetchParams{Replica: Debugger}, 5, true},
			{"at the end", FetchParams{Replica: 2}, 8, false},
		} {
			r := f.read(1, test.params, at(test.from))
			if r.Err != nil || r.Data.Slice.Len > 0 != test.want {
				t.Errorf("%s: %d bytes, %v", test.name, r.Data.Slice.Len, r.Err)
			}
			if test.params.Isolation == ReadCommitted && r.Aborted == nil {
				t.Errorf("%s: no list of aborted transactions", test.name)
			}
		}
	})
}

// A fetch waits for what it is to return, and no longer.
func TestLongPolls(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		a, b := f.create("a", 1, 2), f.create("b", 1, 2)
		check(t, f.commit(a, 5))
		check(t, f.commit(b, 5))
		time.Sleep(time.Second)
		none := meta.NoLeaderEpoch
		m := f.nodes[1].m
		poll := func(params FetchParams, from int64) (chan []Fetched, time.Time) {
			if params.MaxWait == 0 {
				params.MaxWait = 10 * time.Second
			}
			params.MinBytes, params.MaxBytes, params.WholeBatch = max(1, params.MinBytes), 1<<20, true
			result := make(chan []Fetched, 1)
			go func() {
				rs := m.Fetch(context.Background(), &params, []FetchPartition{
					{Partition: a, Offset: 5, MaxBytes: 1 << 20, CurrentLeaderEpoch: none, LastFetchedEpoch: none},
					{Partition: b, Offset: from, MaxBytes: 1 << 20, CurrentLeaderEpoch: none, LastFetchedEpoch: none}})
				for i := range rs {
					rs[i].Release()
				}
				result <- rs
			}()
			synctest.Wait()
			return result, time.Now()
		}
		bytes := func(rs []Fetched) string {
			return fmt.Sprint(rs[0].Data.Slice.Len > 0, rs[1].Data.Slice.Len > 0)
		}

		c, began := poll(FetchParams{Replica: Consumer}, 5)
		time.Sleep(time.Second)
		check(t, f.commit(b, 1))
		if rs := <-c; time.Since(began) != time.Second || bytes(rs) != "false true" || rs[1].HighWatermark != 6 {
			t.Errorf("a consumer got %s after %v", bytes(rs), time.Since(began))
		}

		c, began = poll(FetchParams{Replica: Consumer}, 6)
		time.Sleep(time.Second)
		f.setDeaf(1, 2, true)
		time.Sleep(time.Second)
		f.write(b, 1) // not committed: no reason to wake a consumer
		time.Sleep(time.Second)
		f.setDeaf(1, 2, false)
		if rs := <-c; time.Since(began) < 3*time.Second || time.Since(began) > 5*time.Second || bytes(rs) != "false true" {
			t.Errorf("a consumer got %s after %v", bytes(rs), time.Since(began))
		}

		c, began = poll(FetchParams{Replica: Consumer, MaxWait: 3 * time.Second}, 7)
		if rs := <-c; time.Since(began) != 3*time.Second || bytes(rs) != "false false" || rs[0].Err != nil {
			t.Errorf("with nothing to read: %s after %v", bytes(rs), time.Since(began))
		}

		size := f.read(1, FetchParams{Replica: Consumer}, FetchPartition{Partition: b, Offset: 6, CurrentLeaderEpoch: none, LastFetchedEpoch: none}).Data.Slice.Len
		c, began = poll(FetchParams{Replica: Consumer, MinBytes: 2 * size}, 7)
		time.Sleep(time.Second)
		check(t, f.commit(b, 1))
		time.Sleep(time.Second)
		check(t, f.commit(b, 1))
		if rs := <-c; time.Since(began) != 2*time.Second || rs[1].Data.Slice.Len != 2*size {
			t.Errorf("with min_bytes of two batches: %d bytes after %v", rs[1].Data.Slice.Len, time.Since(began))
		}

		c, began = poll(FetchParams{Replica: Consumer}, 9)
		time.Sleep(time.Second)
		f.elect(a, 2, 1, 2)
		if rs := <-c; time.Since(began) != time.Second || !errors.Is(rs[0].Err, ErrNotLeader) || rs[1].Err != nil {
			t.Errorf("when leadership moved: %v, %v after %v", rs[0].Err, rs[1].Err, time.Since(began))
		}

		c, began = poll(FetchParams{Replica: Consumer}, 9)
		time.Sleep(time.Second)
		m.Stop()
		if rs := <-c; time.Since(began) > time.Second || len(rs) != 2 {
			t.Errorf("when the broker stops: after %v", time.Since(began))
		}
	})
}

// Leaving a wait is no fetch: it must not count as progress of the follower.
func TestOnlyTheFetchItselfIsProgress(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(600 * time.Millisecond)
		p := f.part(1, tp)
		f.setDeaf(1, 2, true) // the answer of the poll that is parked now will be lost
		p.followers.Lock()
		before := *p.followers.progress[2]
		p.followers.Unlock()
		time.Sleep(100 * time.Millisecond)
		f.write(tp, 1) // wakes it
		synctest.Wait()
		p.followers.Lock()
		defer p.followers.Unlock()
		if after := *p.followers.progress[2]; after != before {
			t.Errorf("leaving the wait made %+v of %+v", after, before)
		}
	})
}

// A new leader does not say where the log ends for consumers before its own epoch is committed.
func TestTheEndIsUnknownUntilTheEpochIsCommitted(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		synctest.Wait()
		f.setDeaf(2, 1, true)
		f.elect(tp, 2, 1, 2) // whose high watermark trails
		m := f.nodes[2].m
		ask := func(who meta.BrokerID, ts int64) (int64, error) {
			o, err := m.LookupOffset(OffsetQuery{Partition: tp, Timestamp: ts, CurrentLeaderEpoch: 1, Replica: who})
			return o.Offset, err
		}
		if _, err := ask(Consumer, Latest); !errors.Is(err, ErrOffsetNotAvailable) {
			t.Errorf("latest for a consumer: %v", err)
		}
		if o, err := ask(1, Latest); err != nil || o != 5 {
			t.Errorf("latest for a replica: %d, %v", o, err)
		}
		if o, err := ask(Consumer, Earliest); err != nil || o != 0 {
			t.Errorf("earliest: %d, %v", o, err)
		}
		f.setDeaf(2, 1, false)
		time.Sleep(3 * time.Second)
		if o, err := ask(Consumer, Latest); err != nil || o != 5 {
			t.Errorf("latest once committed: %d, %v", o, err)
		}
	})
}

func TestEndOfEpoch(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 5))
		f.elect(tp, 1, 1, 2)
		f.elect(tp, 1, 1, 2)
		f.write(tp, 2)
		m := f.nodes[1].m
		for _, test := range []struct {
			current, epoch meta.LeaderEpoch
			want           Divergence
			wantErr        error
		}{
			{2, 0, Divergence{0, 5}, nil},
			{-1, 1, Divergence{0, 5}, nil}, // nothing was written in epoch 1
			{2, 2, Divergence{2, 7}, nil},
			{2, 3, Divergence{-1, -1}, nil},
			{1, 0, Divergence{-1, -1}, ErrFencedLeaderEpoch},
			{3, 0, Divergence{-1, -1}, ErrUnknownLeaderEpoch},
		} {
			if got, err := m.EndOfEpoch(tp, test.current, test.epoch); got != test.want || !errors.Is(err, test.wantErr) {
				t.Errorf("epoch %d asked in %d: %+v, %v", test.epoch, test.current, got, err)
			}
		}
		if _, err := f.nodes[2].m.EndOfEpoch(tp, 2, 0); !errors.Is(err, ErrNotLeader) {
			t.Errorf("on a follower: %v", err)
		}
	})
}

// Which control requests are obeyed: controller.md's rules, in their order.
func TestControlRequestsAreChecked(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		m := f.nodes[1].m
		m.SetBrokerEpoch(50)
		send := func(s Sender, change func(*Assigned)) error {
			p := f.parts[tp]
			a := Assigned{Partition: tp, TopicID: p.id, LeaderAndISR: p.state, Assignment: p.Assignment}
			a.LeaderEpoch, a.PartitionEpoch = 5, 5
			if change != nil {
				change(&a)
			}
			rs, err := m.LeaderAndISR(s, []Assigned{a})
			if err != nil {
				return err
			}
			return rs[0]
		}
		ok := Sender{Controller: 1, ControllerEpoch: 3, BrokerEpoch: 50}
		for _, test := range []struct {
			name   string
			sender Sender
			change func(*Assigned)
			want   error
		}{
			{"an earlier life", Sender{ControllerEpoch: 3, BrokerEpoch: 49}, nil, ErrStaleBrokerEpoch},
			{"accepted", ok, nil, nil},
			{"a later life than known", Sender{ControllerEpoch: 3, BrokerEpoch: 51}, func(a *Assigned) { a.LeaderEpoch = 6 }, nil},
			{"no broker epoch", Sender{ControllerEpoch: 3, BrokerEpoch: -1}, func(a *Assigned) { a.LeaderEpoch = 7 }, nil},
			{"a deposed controller", Sender{ControllerEpoch: 2, BrokerEpoch: 50}, func(a *Assigned) { a.LeaderEpoch = 8 }, ErrStaleController},
			{"the same epoch", ok, func(a *Assigned) { a.LeaderEpoch = 7 }, ErrStaleLeaderEpoch},
			{"an old epoch", ok, func(a *Assigned) { a.LeaderEpoch = 6 }, ErrStaleLeaderEpoch},
			{"another topic", ok, func(a *Assigned) { a.LeaderEpoch = 8; a.TopicID = meta.NewTopicID() }, ErrInconsistentTopicID},
			{"not a replica", ok, func(a *Assigned) { a.LeaderEpoch = 8; a.Replicas = []meta.BrokerID{2, 3} }, ErrUnknownPartition},
			{"not a replica of a partition not hosted", ok, func(a *Assigned) { a.Partition.Partition = 9; a.Replicas = []meta.BrokerID{2, 3} }, ErrUnknownPartition},
			{"an old partition epoch is skipped", ok, func(a *Assigned) { a.LeaderEpoch = 9; a.PartitionEpoch = 4 }, nil},
		} {
			if err := send(test.sender, test.change); !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
		if got := f.part(1, tp).mu.leaderEpoch; got != 7 {
			t.Errorf("the leader epoch is %d, want 7", got)
		}
		applied := false
		if err := m.Admit(Sender{ControllerEpoch: 2, BrokerEpoch: 50}, func() { applied = true }); !errors.Is(err, ErrStaleController) || applied {
			t.Errorf("an UpdateMetadata of a deposed controller: %v", err)
		}
		if err := m.Admit(ok, func() { applied = true }); err != nil || !applied {
			t.Errorf("an UpdateMetadata: %v", err)
		}
		for _, test := range []struct {
			epoch meta.LeaderEpoch
			want  error
		}{{6, ErrFencedLeaderEpoch}, {7, nil}, {8, nil}, {meta.NoLeaderEpoch, nil}} {
			rs, err := m.StopReplicas(ok, []Stopped{{Partition: tp, LeaderEpoch: test.epoch}})
			if err != nil || !errors.Is(rs[0], test.want) || test.want == nil && rs[0] != nil {
				t.Errorf("StopReplica in epoch %d: %v, %v", test.epoch, rs, err)
			}
		}
		if _, err := m.StopReplicas(Sender{ControllerEpoch: 1, BrokerEpoch: 50}, nil); !errors.Is(err, ErrStaleController) {
			t.Errorf("StopReplica of a deposed controller: %v", err)
		}
	})
}

// Coordinators are told once per change of role.
func TestRoleChangesAreTold(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		f.elect(tp, 2, 1, 2)
		f.elect(tp, 1, 1, 2)
		rs, err := f.nodes[1].m.StopReplicas(Sender{ControllerEpoch: 1, BrokerEpoch: -1}, []Stopped{{Partition: tp, LeaderEpoch: deletedEpoch, Delete: true}})
		check(t, errors.Join(append(rs, err)...))
		want := []RoleChange{{tp, true, 0}, {tp, false, 1}, {tp, true, 2}, {tp, false, -1}}
		if got := f.nodes[1].roles; !slices.Equal(got, want) {
			t.Errorf("broker 1 was told %v, want %v", got, want)
		}
		if want := []RoleChange{{tp, true, 1}, {tp, false, 2}}; !slices.Equal(f.nodes[2].roles, want) {
			t.Errorf("broker 2 was told %v, want %v", f.nodes[2].roles, want)
		}
	})
}

// A consumer in a follower's rack is sent there, and served there up to the follower's high watermark (KIP-392).
func TestConsumersReadFromTheirRack(t *testing.T) {
	cfg := testConfig()
	cfg.RackAwareReads = true
	inFleet(t, 3, cfg, func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 5))
		time.Sleep(time.Second)
		at := func(o int64) FetchPartition {
			return FetchPartition{Partition: tp, Offset: o, CurrentLeaderEpoch: meta.NoLeaderEpoch, LastFetchedEpoch: meta.NoLeaderEpoch}
		}
		near := func(rack string) FetchParams { return FetchParams{Replica: Consumer, FromFollower: true, Rack: rack} }
		if r := f.read(1, near("rack-2"), at(0)); r.PreferredReplica != 2 || r.Bytes() != 0 || r.HighWatermark != 5 {
			t.Errorf("a consumer in rack 2 is sent to %d, with high watermark %d", r.PreferredReplica, r.HighWatermark)
		}
		for _, rack := range []string{"rack-1", "rack-9", ""} {
			if r := f.read(1, near(rack), at(0)); r.PreferredReplica != meta.NoBroker || r.Data.Slice.Len == 0 {
				t.Errorf("a consumer in %q is sent to %d", rack, r.PreferredReplica)
			}
		}
		if r := f.read(2, near("rack-2"), at(0)); r.Err != nil || r.Data.Slice.Len == 0 || r.PreferredReplica != meta.NoBroker {
			t.Errorf("the follower answers %+v", r)
		}
		f.setDeaf(1, 3, true)
		time.Sleep(600 * time.Millisecond)
		f.write(tp, 1) // on 2, but not committed
		time.Sleep(time.Second)
		if r := f.read(2, near("rack-2"), at(5)); r.Err != nil || r.Data.Slice.Len != 0 {
			t.Errorf("above the follower's high watermark: %d bytes, %v", r.Data.Slice.Len, r.Err)
		}
		if r := f.read(2, near("rack-2"), at(7)); !errors.Is(r.Err, storage.ErrOffsetOutOfRange) {
			t.Errorf("above the follower's end: %v", r.Err)
		}
		c := make(chan Fetched, 1)
		go func() {
			params := near("rack-2")
			params.MaxWait, params.MinBytes, params.MaxBytes, params.WholeBatch = time.Minute, 1, 1<<20, true
			part := at(5)
			part.MaxBytes = 1 << 20
			r := f.nodes[2].m.Fetch(context.Background(), &params, []FetchPartition{part})[0]
			r.Release()
			c <- r
		}()
		synctest.Wait()
		f.setDeaf(1, 3, false)
		if r := <-c; r.Data.Slice.Len == 0 || r.HighWatermark != 6 {
			t.Errorf("a consumer that waited at the follower got %d bytes, high watermark %d", r.Data.Slice.Len, r.HighWatermark)
		}
	})
}
