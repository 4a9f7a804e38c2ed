//go:build linux

package broker_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/brokertest"
	"github.com/kraal-mq/kraal/broker/wire"
	"github.com/kraal-mq/kraal/zkstore/zktest"
)

// heartbeatEvery is what the Java consumer's heartbeat.interval.ms is by default.
const heartbeatEvery = 3 * time.Second

const membersPerGroup = 5

// groupCount is how many groups TestManyGroups has: a few in the gate, KRAAL_GROUPS in `make groups`.
func groupCount(t *testing.T) int {
	s := os.Getenv("KRAAL_GROUPS")
	if s == "" {
		return 40
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("KRAAL_GROUPS: %v", err)
	}
	return n
}

// TestManyGroups has one coordinator keep groups of five members, each with a connection of its own, and tells what it costs. Nobody
// rebalances again once all are there, though groups beside them do all the time.
func TestManyGroups(t *testing.T) {
	groups := groupCount(t)
	window := 5 * time.Second
	if groups > 100 {
		window = time.Minute
	}
	zk := zktest.Start(t)
	proc := brokertest.StartProc(t, zk.Addr(), map[string]string{"group.initial.rebalance.delay.ms": "3000"})
	makeInternalTopic(t, client(t, proc.Addr()))
	idle := usage(t, proc)

	ctx, stop := context.WithCancel(t.Context())
	began := time.Now()
	var load groupLoad
	load.mu.complete = map[string]bool{}
	for g := range groups {
		for range membersPerGroup {
			load.members.Go(func() {
				if err := load.member(ctx, proc.Addr(), fmt.Sprintf("group-%d", g)); err != nil && ctx.Err() == nil {
					t.Errorf("group %d: %v", g, err)
				}
			})
		}
	}
	eventually(t, "complete groups", func() bool { n, _ := load.counts(); return n >= groups || t.Failed() })
	t.Logf("%d groups of 5 members were formed in %v", groups, time.Since(began).Round(time.Millisecond))
	_, before := load.counts()
	quiet := load.measure(t, proc, window)
	t.Logf("heartbeating: %v; without groups RSS was %d MB", quiet, idle.rss>>20)

	// Others rebalance all the time: members that come and go, each join answered only after the others' time is up.
	slow, stopSlow := context.WithCancel(ctx)
	for i := range 10 {
		load.slow.Go(func() { rebalanceForEver(slow, proc.Addr(), fmt.Sprintf("slow-%d", i)) })
	}
	beside := load.measure(t, proc, window)
	t.Logf("beside 10 groups that rebalance without end: %v", beside)
	if limit := 500 * time.Millisecond; beside.p99 > limit && os.Getenv("KRAAL_GROUPS") != "" {
		t.Errorf("the 99th percentile of heartbeats is %v", beside.p99)
	}
	if _, after := load.counts(); after > before {
		t.Errorf("members were told to join again %d times", after-before)
	}
	stopSlow()
	load.slow.Wait()
	stop()
	load.members.Wait()
}

func makeInternalTopic(t *testing.T, c *kgo.Client) {
	t.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey = "any"
	eventually(t, "coordinator", func() bool {
		resp, err := req.RequestWith(within(t), c)
		return err == nil && resp.ErrorCode == 0 && (len(resp.Coordinators) == 0 || resp.Coordinators[0].ErrorCode == 0)
	})
}

// groupLoad is members and what they see.
type groupLoad struct {
	members, slow sync.WaitGroup

	mu struct {
		sync.Mutex
		complete    map[string]bool // groups that had all members
		generations int             // that members were in, each counted by each
		took        []time.Duration // by heartbeats
	}
}

func (l *groupLoad) counts() (complete, generations int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.complete), l.mu.generations
}

// member joins a group and sends heartbeats, and joins again when it is told to.
func (l *groupLoad) member(ctx context.Context, addr, group string) error {
	c, err := dialRaw(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for id := ""; ; {
		joined, err := c.join(group, id, heartbeatEvery*10)
		if err == nil && joined.ErrorCode != 0 {
			err = fmt.Errorf("join: %d", joined.ErrorCode)
		}
		if err != nil {
			return err
		}
		id = joined.MemberID
		code, err := c.sync(group, joined)
		if err != nil {
			return err
		}
		if code == 0 {
			l.assigned(group, joined)
			code, err = l.heartbeat(ctx, c, group, joined)
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
		if code != int16(wire.ErrRebalanceInProgress) {
			return fmt.Errorf("told %d", code)
		}
	}
}

// assigned counts the members of a generation that has all of them.
func (l *groupLoad) assigned(group string, joined *kmsg.JoinGroupResponse) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.generations++
	if len(joined.Members) == membersPerGroup {
		l.mu.complete[group] = true
	}
}

// heartbeat sends heartbeats until one is answered with an error.
func (l *groupLoad) heartbeat(ctx context.Context, c rawConn, group string, joined *kmsg.JoinGroupResponse) (int16, error) {
	beat := kmsg.NewPtrHeartbeatRequest()
	beat.SetVersion(3)
	beat.Group, beat.MemberID, beat.Generation = group, joined.MemberID, joined.Generation
	for wait := rand.N(heartbeatEvery); ; wait = heartbeatEvery { // members are not in step with each other
		select {
		case <-ctx.Done():
			return 0, nil
		case <-time.After(wait):
		}
		began := time.Now()
		var resp kmsg.HeartbeatResponse
		if err := c.ask(beat, &resp); err != nil {
			return 0, err
		}
		took := time.Since(began)
		l.mu.Lock()
		l.mu.took = append(l.mu.took, took)
		l.mu.Unlock()
		if resp.ErrorCode != 0 {
			return resp.ErrorCode, nil
		}
	}
}

// rebalanceForEver has members join a group one by one, so that each waits for the ones before, who do not know.
func rebalanceForEver(ctx context.Context, addr, group string) {
	var members sync.WaitGroup
	for range 20 {
		members.Go(func() {
			for ctx.Err() == nil {
				c, err := dialRaw(ctx, addr)
				if err != nil {
					continue
				}
				if joined, err := c.join(group, "", time.Second); err == nil && joined.ErrorCode == 0 {
					_, _ = c.sync(group, joined)
				}
				c.Close()
			}
		})
	}
	members.Wait()
}

// cost is what the broker took for something.
type cost struct {
	cores         float64
	rss           int64
	perSecond     float64
	p50, p99, max time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%.0f heartbeats a second, p50 %v, p99 %v, max %v, %.1f %% of a core, RSS %d MB",
		c.perSecond, c.p50.Round(10*time.Microsecond), c.p99.Round(10*time.Microsecond), c.max.Round(10*time.Microsecond), 100*c.cores, c.rss>>20)
}

func (l *groupLoad) measure(t *testing.T, proc *brokertest.Proc, window time.Duration) cost {
	t.Helper()
	l.mu.Lock()
	l.mu.took = nil
	l.mu.Unlock()
	before, began := usage(t, proc), time.Now()
	time.Sleep(window) // what is measured
	after, took := usage(t, proc), time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	beats := slices.Sorted(slices.Values(l.mu.took))
	if len(beats) == 0 {
		t.Fatal("no heartbeats")
	}
	return cost{
		cores: (after.cpu - before.cpu).Seconds() / took.Seconds(), rss: after.rss, perSecond: float64(len(beats)) / took.Seconds(),
		p50: beats[len(beats)/2], p99: beats[len(beats)*99/100], max: beats[len(beats)-1],
	}
}

type processUsage struct {
	cpu time.Duration
	rss int64
}

// usage reads /proc/<pid>/stat: fields 14 and 15 are the CPU time in ticks of 10 ms, 24 the resident set in pages.
func usage(t *testing.T, proc *brokertest.Proc) processUsage {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", proc.PID()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from field 3 on
	number := func(field int) int64 {
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return processUsage{cpu: time.Duration(number(14)+number(15)) * 10 * time.Millisecond, rss: number(24) * int64(os.Getpagesize())}
}

// rawConn is a connection that costs less than a client's.
type rawConn struct{ net.Conn }

func dialRaw(ctx context.Context, addr string) (rawConn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	return rawConn{c}, err
}

// ask sends a request and reads its answer.
func (c rawConn) ask(req kmsg.Request, resp kmsg.Response) error {
	if _, err := c.Write(wire.AppendRequest(nil, req, 1, "load")); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	frame, err := wire.ReadFrame(c, 1<<20)
	if err != nil {
		return err
	}
	defer frame.Free()
	resp.SetVersion(req.GetVersion())
	r := kbin.Reader{Src: frame.Bytes()}
	r.Int32()
	return resp.ReadFrom(r.Src)
}

func (c rawConn) join(group, id string, timeout time.Duration) (*kmsg.JoinGroupResponse, error) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.SetVersion(3)
	req.Group, req.MemberID, req.ProtocolType = group, id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(max(timeout, 10*time.Second).Milliseconds()), int32(timeout.Milliseconds())
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: rangeProtocol, Metadata: subscription("t")}}
	resp := new(kmsg.JoinGroupResponse)
	return resp, c.ask(req, resp)
}

func (c rawConn) sync(group string, joined *kmsg.JoinGroupResponse) (code int16, err error) {
	req := kmsg.NewPtrSyncGroupRequest()
	req.SetVersion(2)
	req.Group, req.MemberID, req.Generation = group, joined.MemberID, joined.Generation
	for i, m := range joined.Members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: m.MemberID, MemberAssignment: assignment("t", int32(i))})
	}
	var resp kmsg.SyncGroupResponse
	err = c.ask(req, &resp)
	return resp.ErrorCode, err
}
