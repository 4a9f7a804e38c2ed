//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// faultAdmin keeps the controller busy: it moves replicas of a topic that is written to and read, and makes, moves and deletes topics
// that nobody uses. What it asks for may fail; in the end every topic it deleted has to be gone and every move has to be over.
type faultAdmin struct {
	l       *faultLoad
	random  *rand.Rand
	adm     *kadm.Client
	topics  []string // made, perhaps
	moves   int
	deleted []string // perhaps
}

const (
	// adminPause is between two requests.
	adminPause = 500 * time.Millisecond
	// adminPatience is how long one may take.
	adminPatience = 3 * time.Second
	// adminTopics is how many unused topics there are at a time.
	adminTopics = 3
)

func newFaultAdmin(l *faultLoad, seed uint64) *faultAdmin {
	return &faultAdmin{l: l, random: rand.New(rand.NewPCG(seed, 4)), adm: kadm.NewClient(l.client())}
}

// run goes on until the load stops producing.
func (a *faultAdmin) run() {
	tick := time.NewTicker(adminPause)
	defer tick.Stop()
	for made := 0; ; {
		select {
		case <-a.l.producing.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(a.l.producing, adminPatience)
		switch a.random.IntN(3) {
		case 0:
			a.move(ctx, movingTopic, int32(a.random.IntN(faultTopicOf(movingTopic).partitions)), faultTopicOf(movingTopic).replicas)
		case 1:
			if len(a.topics) < adminTopics {
				name := fmt.Sprintf("unused-%d", made)
				made++
				a.topics = append(a.topics, name)
				_, _ = a.adm.CreateTopic(ctx, 3, 2, nil, name)
			}
		case 2:
			if len(a.topics) > 0 {
				name := a.topics[0]
				a.topics, a.deleted = a.topics[1:], append(a.deleted, name)
				if a.random.IntN(2) == 0 {
					a.move(ctx, name, int32(a.random.IntN(3)), 2)
				}
				_, _ = a.adm.DeleteTopics(ctx, name)
			}
		}
		cancel()
	}
}

// move asks for other replicas of a partition.
func (a *faultAdmin) move(ctx context.Context, topic string, partition int32, replicas int16) {
	var to []int32
	for _, id := range a.random.Perm(3)[:replicas] {
		to = append(to, int32(id+1))
	}
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign(topic, partition, to)
	if r, err := a.adm.AlterPartitionAssignments(ctx, req); err == nil && r.Error() == nil {
		a.moves++
	}
}

// settle deletes all topics that were made, and waits until they are gone and all moves are over.
func (a *faultAdmin) settle() {
	t := a.l.r.t
	t.Helper()
	defer a.adm.Close()
	all := append(a.deleted, a.topics...)
	for _, name := range all {
		a.awaitDeleted(t, name)
	}
	testkit.Eventually(t, recovery, "all moves are over", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), adminPatience)
		defer cancel()
		r, err := a.adm.ListPartitionReassignments(ctx, nil)
		return err == nil && len(r) == 0
	})
	t.Logf("%d moves of replicas begun, %d topics made and deleted", a.moves, len(all))
}

func (a *faultAdmin) awaitDeleted(t *testing.T, name string) {
	t.Helper()
	r := a.l.r
	asked := false
	testkit.Eventually(t, recovery, name+" is deleted", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), adminPatience)
		defer cancel()
		if r.znodes.Exists("/admin/delete_topics/" + name) {
			return false
		}
		if r.znodes.Exists("/brokers/topics/" + name) {
			if !asked { // its deletion, or the answer to it, was lost
				_, err := a.adm.DeleteTopics(ctx, name)
				asked = err == nil
			}
			return false
		}
		for id := 1; id <= 3; id++ {
			if left, err := filepath.Glob(filepath.Join(r.fleet.Proc(id).Dir(), name+"-*")); err != nil || len(left) > 0 {
				return false
			}
		}
		return true
	})
}
