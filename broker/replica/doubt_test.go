package replica

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// backed is a configuration under which followers may outweigh doubts.
func backed() Config {
	cfg := testConfig()
	cfg.Backing = time.Second
	return cfg
}

// leads reports whether a node answers as the leader.
func (f *fleet) leads(id meta.BrokerID, tp meta.TopicPartition) bool {
	f.t.Helper()
	_, err := f.nodes[id].m.LookupOffset(OffsetQuery{Partition: tp, Timestamp: Latest, CurrentLeaderEpoch: -1, Replica: Consumer})
	if err != nil && !errors.Is(err, ErrNotLeader) {
		f.t.Errorf("ListOffsets: %v", err)
	}
	return err == nil
}

// ZooKeeper may be away from everybody. Then nobody can be elected, and the followers stay.
func TestFollowersOutweighDoubt(t *testing.T) {
	inFleet(t, 3, backed(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 1))
		time.Sleep(3 * time.Second)
		f.nodes[1].mayLead.Store(false)
		if !f.leads(1, tp) {
			t.Error("in doubt although both others in the ISR go on fetching")
		}
		check(t, f.commit(tp, 1))

		// One of the ISR falls silent: it may have been elected.
		f.setDeaf(1, 2, true)
		time.Sleep(1500 * time.Millisecond)
		if f.leads(1, tp) {
			t.Error("leads on although a member of the ISR has stopped fetching")
		}
		if a := f.append(1, tp, 1, 1); !errors.Is(a.Err, ErrNotLeader) {
			t.Errorf("an append: %v", a.Err)
		}
		// It was only away: its fetches are let through, and settle the doubt.
		f.setDeaf(1, 2, false)
		time.Sleep(3 * time.Second)
		if !f.leads(1, tp) {
			t.Error("in doubt although everybody fetches again")
		}
	})
}

// Nobody else is in the ISR, so nobody else can be elected, unless uncleanly.
func TestAloneInTheISR(t *testing.T) {
	inFleet(t, 2, backed(), func(t *testing.T, f *fleet) {
		single, shrunk := f.create("single", 1), f.create("shrunk", 1, 2)
		f.setDeaf(1, 2, true) // or it is back in the ISR at once
		f.elect(shrunk, 1, 1)
		f.nodes[1].mayLead.Store(false)
		if !f.leads(1, single) || !f.leads(1, shrunk) {
			t.Error("in doubt although there is nobody to elect")
		}
		f.nodes[1].topic.UncleanLeaderElection = true
		f.bounce(1, single, shrunk)
		f.nodes[1].mayLead.Store(false)
		if !f.leads(1, single) {
			t.Error("in doubt although there is no other replica")
		}
		if f.leads(1, shrunk) {
			t.Error("leads on although another replica may have been elected uncleanly")
		}
	})
}

// bounce restarts a node and tells it its roles in a new epoch.
func (f *fleet) bounce(id meta.BrokerID, tps ...meta.TopicPartition) {
	f.nodes[id].bounce()
	for _, tp := range tps {
		f.elect(tp, id, f.parts[tp].state.ISR...)
	}
}

// A process that was stopped finds requests in its sockets that were sent before others were elected.
func TestWhatWaitedForAStoppedProcessBacksNobody(t *testing.T) {
	inFleet(t, 2, backed(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		check(t, f.commit(tp, 1))
		time.Sleep(3 * time.Second)
		m := f.nodes[1].m
		m.awake.last.Store(time.Now().Add(-time.Minute).UnixNano()) // the last sign of life before the stop
		f.nodes[1].mayLead.Store(false)
		if f.leads(1, tp) {
			t.Error("leads right after it was stopped")
		}
		time.Sleep(700 * time.Millisecond) // one fetch comes, perhaps from before
		synctest.Wait()
		if f.leads(1, tp) {
			t.Error("leads on the strength of a fetch that may have been under way for long")
		}
		time.Sleep(2 * time.Second)
		if !f.leads(1, tp) {
			t.Error("in doubt although its follower has fetched since")
		}
	})
}

// A broker that registers anew has to be told again what it leads.
func TestLeadershipOfAnEarlierLife(t *testing.T) {
	inFleet(t, 2, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2)
		m := f.nodes[1].m
		say := func(epoch meta.LeaderEpoch, life meta.BrokerEpoch) {
			t.Helper()
			p := f.parts[tp]
			state := p.state
			state.LeaderEpoch = epoch
			_, err := m.LeaderAndISR(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: life},
				[]Assigned{{Partition: tp, TopicID: p.id, LeaderAndISR: state, Assignment: p.Assignment}})
			check(t, err)
		}
		m.SetBrokerEpoch(50)
		if f.leads(1, tp) {
			t.Error("leads in a new life without having been told so")
		}
		say(0, 50) // nothing else was decided meanwhile
		if !f.leads(1, tp) {
			t.Error("in doubt although the controller repeats who leads")
		}
		say(3, 60) // the controller knows of the next registration first
		if f.leads(1, tp) {
			t.Error("leads in a life that it does not know of yet")
		}
		m.SetBrokerEpoch(60)
		if !f.leads(1, tp) {
			t.Error("in doubt although the controller has spoken to this life")
		}
	})
}

// The end of a partition must not seem to go back: a leader whose successor has been elected behind its back must not tell of the
// end any more, not even in the time in which its followers' last fetches still keep it from falling silent.
func TestEndIsConfirmedInDoubt(t *testing.T) {
	inFleet(t, 3, backed(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 5))
		time.Sleep(3 * time.Second)
		latest := OffsetQuery{Partition: tp, Timestamp: Latest, CurrentLeaderEpoch: -1, Replica: Consumer}

		f.nodes[1].mayLead.Store(false)
		began := time.Now()
		found, err := f.nodes[1].m.LookupOffset(latest)
		took := time.Since(began)
		if err != nil || found.Offset != 5 {
			t.Errorf("the end while everybody follows: %d, %v", found.Offset, err)
		}
		if took == 0 || took > time.Second {
			t.Errorf("that took %v: two fetches of each follower, one after the other, have to come", took)
		}
		// All partitions of a request wait for the same fetches.
		again := latest
		again.Asked = began
		began = time.Now()
		if _, err := f.nodes[1].m.LookupOffset(again); err != nil || time.Since(began) != 0 {
			t.Errorf("the next partition of the same request: %v after %v", err, time.Since(began))
		}

		p := f.parts[tp]
		p.state.Leader, p.state.ISR, p.state.LeaderEpoch, p.state.PartitionEpoch = 2, []meta.BrokerID{2, 3}, 1, 1
		f.tellBrokers()
		f.tell(tp, 2, 3) // and 1 does not hear of it
		check(t, f.commit(tp, 5))
		if found, err := f.nodes[1].m.LookupOffset(latest); err == nil {
			t.Errorf("the deposed leader says that the end is %d", found.Offset)
		}
		if found, err := f.nodes[2].m.LookupOffset(latest); err != nil || found.Offset != 10 {
			t.Errorf("its successor: %d, %v", found.Offset, err)
		}
	})
}
