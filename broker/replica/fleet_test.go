package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/record"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// fleet is several managers with logs in memory that fetch from each other by function call, and a controller that does
// what the test says. It lives in a synctest bubble: synctest.Wait is "everything that can happen without time passing has".
type fleet struct {
	t     *testing.T
	cfg   Config
	nodes map[meta.BrokerID]*node
	parts map[meta.TopicPartition]*decided

	mu sync.Mutex // guards proposals, parts as decide changes them, and what links touch in nodes

	// holdISR keeps proposals undecided until decide is called; refuse decides them with an error.
	holdISR   bool
	refuse    error
	proposals []heldProposal
}

// decided is what the controller knows of a partition.
type decided struct {
	id    meta.TopicID
	state meta.LeaderAndISR
	meta.Assignment
}

type heldProposal struct {
	ISRProposal
	decide func(ISRDecision)
}

type node struct {
	f     *fleet
	id    meta.BrokerID
	disc  *vfs.Mem
	topic storage.LogConfig
	dirs  []string
	// hearsOfDirs: the replica manager is told when a log directory fails.
	hearsOfDirs           bool
	fault                 func(op vfs.Op, name string) error // nil: the disc works
	moves, leads, follows *quota.Replication

	alive   atomic.Bool
	deaf    map[meta.BrokerID]bool // whose requests do not get through
	mayLead atomic.Bool
	metrics *prometheus.Registry
	logs    *storage.Manager
	cache   *metadata.Cache
	m       *Manager
	cancel  context.CancelFunc
	ended   chan struct{}

	sessions map[int32]*testSession
	said     *observer.ObservedLogs
	requests []string // what others asked of this node
	polls    int      // how many fetches came
	roles    []RoleChange
}

func testConfig() Config {
	return Config{
		ReplicaLagTimeMax: 30 * time.Second, HighWatermarkCheckpointInterval: 5 * time.Second,
		Fetchers: 1, FetchWaitMax: 500 * time.Millisecond, FetchMinBytes: 1, FetchMaxBytes: 1 << 20, FetchResponseMaxBytes: 10 << 20,
		FetchBackoff: time.Second, Protocol: Protocol{EpochLookup: true, FetchSessions: true, TruncateOnFetch: true},
	}
}

// inFleet runs a test in a bubble with brokers 1 to n.
func inFleet(t *testing.T, n int, cfg Config, test func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{t: t, cfg: cfg, nodes: map[meta.BrokerID]*node{}, parts: map[meta.TopicPartition]*decided{}}
		for id := meta.BrokerID(1); id <= meta.BrokerID(n); id++ {
			nd := &node{f: f, id: id, disc: vfs.NewMem(), topic: storage.DefaultLogConfig(), deaf: map[meta.BrokerID]bool{}}
			nd.mayLead.Store(true)
			nd.dirs = []string{"/logs"}
			nd.topic.MaxIndexBytes = 4096 // indexes are preallocated
			f.nodes[id] = nd
		}
		for id := meta.BrokerID(1); id <= meta.BrokerID(n); id++ {
			f.nodes[id].start()
		}
		f.tellBrokers()
		f.t = t
		defer func() {
			for _, nd := range f.nodes {
				nd.kill()
			}
		}()
		test(t, f)
	})
}

func (n *node) start() {
	n.f.t.Helper()
	topic := n.topic
	n.metrics = prometheus.NewRegistry()
	disc := vfs.FS(n.disc)
	if n.fault != nil {
		disc = &vfs.Fault{FS: n.disc, Hook: n.fault}
	}
	n.moves, n.leads, n.follows = quota.NewReplication(11, time.Second), quota.NewReplication(11, time.Second), quota.NewReplication(11, time.Second)
	logs, err := storage.OpenManager(context.Background(), storage.ManagerOptions{Dirs: n.dirs, FS: disc, Metrics: n.metrics,
		TopicConfig: func(string) *storage.LogConfig { return &topic }, OnDirFailure: func(dir string, _ error) {
			if n.hearsOfDirs {
				go n.m.DirFailed(dir)
			}
		}})
	check(n.f.t, err)
	n.logs, n.cache, n.sessions = logs, metadata.NewCache(), map[int32]*testSession{}
	core, said := observer.New(zap.InfoLevel)
	n.said = said
	n.m = New(Options{BrokerID: n.id, Config: n.f.cfg, Logs: logs, Metadata: n.cache, Proposer: n.f, Logger: zap.New(core), Metrics: n.metrics,
		MayLead: n.mayLead.Load, MoveQuota: n.moves, LeaderQuota: n.leads, FollowerQuota: n.follows,
		OnRoles: func(c []RoleChange) { n.roles = append(n.roles, c...) },
		Follow: func(leader meta.BrokerID, number int) Leader {
			return &testLink{from: n, to: n.f.nodes[leader], number: number}
		}})
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.ended = cancel, make(chan struct{})
	n.alive.Store(true)
	go func() {
		defer close(n.ended)
		_ = n.m.Run(ctx)
	}()
}

// kill ends the process; the disc keeps what was written.
func (n *node) kill() {
	if !n.alive.Swap(false) {
		return
	}
	n.m.Stop()
	n.cancel()
	<-n.ended
	n.m.CheckpointHighWatermarks() // as the periodic task did shortly before
	n.disc = n.disc.Clone()
}

// bounce restarts a node. The controller has to tell it its roles.
func (n *node) bounce() {
	n.kill()
	n.start()
	n.f.tellBrokers()
}

// loseTail makes the log of a dead node end earlier, as a power failure may.
func (n *node) loseTail(tp meta.TopicPartition, bytes int64) {
	n.f.t.Helper()
	name := fmt.Sprintf("/logs/%s/%020d.log", tp, 0)
	file, err := n.disc.OpenOrCreate(name)
	check(n.f.t, err)
	info, err := file.Stat()
	check(n.f.t, err)
	check(n.f.t, file.Truncate(info.Size()-bytes))
	check(n.f.t, file.Close())
}

func (f *fleet) alive() []meta.BrokerID {
	var ids []meta.BrokerID
	for id, n := range f.nodes {
		if n.alive.Load() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tellBrokers sends UpdateMetadata to everybody: who is alive, and all partitions.
func (f *fleet) tellBrokers() {
	req := liveBrokers(f.alive()...)
	for tp, p := range f.parts {
		topic := kmsg.NewUpdateMetadataRequestTopicState()
		topic.Topic, topic.TopicID = tp.Topic, p.id
		part := kmsg.NewUpdateMetadataRequestTopicPartition()
		part.Partition, part.Leader, part.LeaderEpoch = tp.Partition, int32(p.state.Leader), int32(p.state.LeaderEpoch)
		topic.PartitionStates = append(topic.PartitionStates, part)
		req.TopicStates = append(req.TopicStates, topic)
	}
	for _, id := range f.alive() {
		f.nodes[id].cache.Apply(req)
	}
}

// liveBrokers is an UpdateMetadata that says who is alive.
func liveBrokers(ids ...meta.BrokerID) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 8, 1
	for _, id := range ids {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = int32(id)
		rack := fmt.Sprintf("rack-%d", id)
		b.Rack = &rack
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		e.ListenerName, e.Host, e.Port = "PLAINTEXT", "localhost", 9092
		b.Endpoints = append(b.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	return req
}

// create makes partition 0 of a topic, led by the first replica.
func (f *fleet) create(topic string, replicas ...meta.BrokerID) meta.TopicPartition {
	f.t.Helper()
	tp := meta.TopicPartition{Topic: topic}
	f.parts[tp] = &decided{id: meta.NewTopicID(), Assignment: meta.Assignment{Replicas: replicas},
		state: meta.LeaderAndISR{Leader: replicas[0], ISR: slices.Clone(replicas)}}
	f.tellBrokers()
	f.tell(tp, replicas...)
	return tp
}

// tell sends LeaderAndIsr for a partition to those given that are alive.
func (f *fleet) tell(tp meta.TopicPartition, to ...meta.BrokerID) {
	f.t.Helper()
	for _, id := range to {
		if n := f.nodes[id]; n != nil && n.alive.Load() {
			check(f.t, n.told(tp))
		}
	}
}

func (n *node) told(tp meta.TopicPartition) error {
	n.f.mu.Lock()
	p := *n.f.parts[tp]
	n.f.mu.Unlock()
	results, err := n.m.LeaderAndISR(Sender{Controller: 1, ControllerEpoch: 1, BrokerEpoch: meta.NoBrokerEpoch},
		[]Assigned{{Partition: tp, TopicID: p.id, LeaderAndISR: p.state, Assignment: p.Assignment, IsNew: p.state.LeaderEpoch == 0}})
	if err != nil {
		return err
	}
	return results[0]
}

// elect makes a leader in the next epoch, of the ISR given, and tells all replicas.
func (f *fleet) elect(tp meta.TopicPartition, leader meta.BrokerID, isr ...meta.BrokerID) {
	f.t.Helper()
	p := f.parts[tp]
	p.state.Leader, p.state.ISR = leader, isr
	p.state.LeaderEpoch++
	p.state.PartitionEpoch++
	f.tellBrokers()
	f.tell(tp, p.Replicas...)
}

// Propose implements [ISRProposer] as a controller that agrees, if the test does not say otherwise.
func (f *fleet) Propose(p ISRProposal, decide func(ISRDecision)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proposals = append(f.proposals, heldProposal{p, decide})
	if !f.holdISR {
		go f.decide()
	}
}

// decide answers all proposals.
func (f *fleet) decide() {
	f.mu.Lock()
	held := f.proposals
	f.proposals = nil
	f.mu.Unlock()
	for _, p := range held {
		p.decide(f.decision(p.ISRProposal))
	}
}

func (f *fleet) decision(p ISRProposal) ISRDecision {
	f.mu.Lock()
	defer f.mu.Unlock()
	state := &f.parts[p.Partition].state
	switch {
	case f.refuse != nil:
		return ISRDecision{Err: f.refuse}
	case p.LeaderEpoch != state.LeaderEpoch || p.PartitionEpoch != state.PartitionEpoch:
		return ISRDecision{Err: ErrProposalOutdated}
	}
	state.ISR = p.ISR
	state.PartitionEpoch++
	return ISRDecision{State: *state}
}

// testBatch makes one batch of n records.
func testBatch(n int, value string) []byte {
	b := record.NewBuilder(record.BuilderOptions{})
	for i := range n {
		b.Append(time.Now().UnixMilli(), nil, fmt.Appendf(nil, "%s-%d", value, i))
	}
	batch, err := b.Build()
	if err != nil {
		panic(err)
	}
	return batch
}

// asked returns what others asked of a node since the last time.
func (f *fleet) asked(id meta.BrokerID) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.nodes[id].requests
	f.nodes[id].requests = nil
	return requests
}

// append appends one batch of n records at a node as its producer would and returns what became of it.
func (f *fleet) append(at meta.BrokerID, tp meta.TopicPartition, n int, acks int16) Appended {
	return f.nodes[at].m.Append(AppendRequest{Partition: tp, Acks: acks, Records: testBatch(n, fmt.Sprintf("by-%d-%08x", at, rand.Uint32()))})
}

// write appends at the leader with acks=1.
func (f *fleet) write(tp meta.TopicPartition, n int) {
	f.t.Helper()
	check(f.t, f.append(f.parts[tp].state.Leader, tp, n, 1).Err)
}

// commit appends at the leader with acks=all and waits.
func (f *fleet) commit(tp meta.TopicPartition, n int) error {
	leader := f.parts[tp].state.Leader
	a := f.append(leader, tp, n, AcksAll)
	if a.Err != nil {
		return a.Err
	}
	w := a.Pending()
	f.nodes[leader].m.Await(context.Background(), 10*time.Second, []*Pending{w})
	return w.Err
}

func (f *fleet) log(id meta.BrokerID, tp meta.TopicPartition) *storage.Log {
	f.t.Helper()
	log, ok := f.nodes[id].logs.Log(tp)
	if !ok {
		f.t.Fatalf("broker %d has no log of %s", id, tp)
	}
	return log
}

// part is a node's replica.
func (f *fleet) part(id meta.BrokerID, tp meta.TopicPartition) *Partition {
	f.t.Helper()
	p, err := f.nodes[id].m.partition(tp)
	check(f.t, err)
	return p
}

func (f *fleet) isr(id meta.BrokerID, tp meta.TopicPartition) []meta.BrokerID {
	p := f.part(id, tp)
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.mu.isr)
}

// content is every byte of a log.
func (f *fleet) content(id meta.BrokerID, tp meta.TopicPartition) []byte {
	f.t.Helper()
	log := f.log(id, tp)
	var all []byte
	for at := log.LogStartOffset(); at < log.LogEndOffset(); {
		r, err := log.Read(at, 1<<30, log.LogEndOffset(), true)
		check(f.t, err)
		if r.Slice.Len == 0 {
			break
		}
		buf := make([]byte, r.Slice.Len)
		_, err = r.Slice.ReadAt(buf, 0)
		check(f.t, err)
		r.Slice.Release()
		all = append(all, buf...)
		for b, err := range record.Batches(buf) {
			check(f.t, err)
			at = b.NextOffset()
		}
	}
	return all
}

// state is a log in one line.
func (f *fleet) state(id meta.BrokerID, tp meta.TopicPartition) string {
	log := f.log(id, tp)
	var epochs []string
	for _, e := range log.Epochs() {
		epochs = append(epochs, fmt.Sprintf("%d@%d", e.Epoch, e.StartOffset))
	}
	return fmt.Sprintf("start %d hw %d leo %d epochs %s", log.LogStartOffset(), log.HighWatermark(), log.LogEndOffset(), strings.Join(epochs, " "))
}

func (f *fleet) wantState(id meta.BrokerID, tp meta.TopicPartition, want string) {
	f.t.Helper()
	if got := f.state(id, tp); got != want {
		f.t.Errorf("broker %d, %s: got %s, want %s", id, tp, got, want)
	}
}

// wantSame compares the logs of all live replicas byte for byte.
func (f *fleet) wantSame(tp meta.TopicPartition) {
	f.t.Helper()
	var first []byte
	from := meta.NoBroker
	for _, id := range f.parts[tp].Replicas {
		if n := f.nodes[id]; n == nil || !n.alive.Load() {
			continue
		}
		c := f.content(id, tp)
		if from == meta.NoBroker {
			first, from = c, id
		} else if !bytes.Equal(first, c) {
			f.t.Errorf("the logs of %s differ: broker %d has %s, %d bytes; broker %d has %s, %d bytes", tp, from, f.state(from, tp), len(first), id, f.state(id, tp), len(c))
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errUnreachable = errors.New("connection refused")

// testLink implements [Leader] by calling another node's manager.
type testLink struct {
	from, to *node
	number   int
	closed   bool
}

// testSession is the leader's side of a fetch session. The first fetch is read as a whole, the others through a watch.
type testSession struct {
	epoch int32
	byID  bool
	parts []*testSessionPartition // by slot; nil: free
	watch *FetchWatch
}

type testSessionPartition struct {
	FetchPartition
	hw, start int64
}

// apply takes a request over and says what it changes for the watch.
func (s *testSession) apply(q *FetchQuery) (asks []WatchAsk, gone []int) {
	find := func(tp meta.TopicPartition) int {
		return slices.IndexFunc(s.parts, func(p *testSessionPartition) bool { return p != nil && p.Partition == tp })
	}
	for _, p := range q.Partitions {
		i := find(p.Partition)
		if i < 0 {
			if i = slices.Index(s.parts, nil); i < 0 {
				i = len(s.parts)
				s.parts = append(s.parts, nil)
			}
			s.parts[i] = &testSessionPartition{p, -2, -2}
		}
		s.parts[i].FetchPartition = p
	}
	for _, p := range q.Forgotten {
		if i := find(p.Partition); i >= 0 {
			s.parts[i] = nil
			gone = append(gone, i)
		}
	}
	for _, p := range q.Partitions {
		if i := find(p.Partition); i >= 0 {
			asks = append(asks, WatchAsk{Slot: i, FetchPartition: p})
		}
	}
	return asks, gone
}

// read fetches what the session has to look at.
func (s *testSession) read(ctx context.Context, m *Manager, params *FetchParams, asks []WatchAsk, gone []int) []Polled {
	if s.epoch == 1 { // the whole
		var slots []int
		var parts []FetchPartition
		for i, p := range s.parts {
			if p != nil {
				slots, parts = append(slots, i), append(parts, p.FetchPartition)
			}
		}
		fetched := m.Fetch(ctx, params, parts)
		polled := make([]Polled, len(slots))
		for i := range polled {
			polled[i] = Polled{Slot: slots[i], Fetched: fetched[i]}
		}
		return polled
	}
	if s.watch == nil {
		s.watch = m.NewWatch(params.Replica)
		asks = nil
		for i, p := range s.parts {
			if p != nil {
				asks = append(asks, WatchAsk{i, p.FetchPartition})
			}
		}
	}
	return s.watch.Poll(ctx, params, asks, gone)
}

func (l *testLink) reach() (*Manager, error) {
	if l.closed {
		panic("use of a closed link")
	}
	f := l.to.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if !l.to.alive.Load() || l.to.deaf[l.from.id] {
		return nil, errUnreachable
	}
	return l.to.m, nil
}

func (l *testLink) note(format string, args ...any) {
	l.to.f.mu.Lock()
	defer l.to.f.mu.Unlock()
	l.to.requests = append(l.to.requests, fmt.Sprintf("%d: ", l.from.id)+fmt.Sprintf(format, args...))
}

func (l *testLink) session(q *FetchQuery) (int32, *testSession, error) {
	l.to.f.mu.Lock()
	defer l.to.f.mu.Unlock()
	l.to.polls++
	if q.SessionEpoch <= 0 {
		delete(l.to.sessions, q.SessionID)
		if q.SessionEpoch < 0 {
			return 0, &testSession{}, nil
		}
		id := int32(1)
		for l.to.sessions[id] != nil {
			id++
		}
		s := &testSession{byID: q.ByID}
		l.to.sessions[id] = s
		return id, s, nil
	}
	s := l.to.sessions[q.SessionID]
	switch {
	case s == nil:
		return 0, nil, ErrFetchSessionUnknown
	case s.epoch != q.SessionEpoch || s.byID != q.ByID:
		return 0, nil, ErrFetchSession
	}
	return q.SessionID, s, nil
}

// Fetch implements [Leader].
func (l *testLink) Fetch(ctx context.Context, q *FetchQuery) (*FetchReply, error) {
	m, err := l.reach()
	if err != nil {
		return nil, err
	}
	id, s, err := l.session(q)
	if err != nil {
		return nil, err
	}
	for _, p := range q.Partitions {
		l.note("fetch %s at %d epoch %d last %d", p.Partition, p.Offset, p.CurrentLeaderEpoch, p.LastFetchedEpoch)
	}
	for _, gone := range q.Forgotten {
		l.note("forget %s", gone.Partition)
	}
	asks, gone := s.apply(q)
	full := s.epoch == 0
	s.epoch++
	fetched := s.read(ctx, m, &FetchParams{Replica: l.from.id, ReplicaEpoch: q.BrokerEpoch, MaxWait: q.MaxWait, MinBytes: q.MinBytes,
		MaxBytes: q.MaxBytes, WholeBatch: true}, asks, gone)
	defer func() {
		for i := range fetched {
			fetched[i].Release()
		}
	}()
	if _, err := l.reach(); err != nil || ctx.Err() != nil {
		return nil, errUnreachable
	}
	reply := &FetchReply{SessionID: id}
	var loans [][]byte
	reply.Free = func() {
		for _, b := range loans {
			for i := range b {
				b[i] = 0xaa
			}
		}
	}
	for i := range fetched {
		r, p := &fetched[i], s.parts[fetched[i].Slot]
		if !full && r.Err == nil && r.Diverging == nil && r.Bytes() == 0 && r.HighWatermark == p.hw && r.LogStartOffset == p.start {
			continue
		}
		p.hw, p.start = r.HighWatermark, r.LogStartOffset
		a := ReplyPartition{Partition: p.Partition.Partition, Err: r.Err, HighWatermark: r.HighWatermark,
			LogStartOffset: r.LogStartOffset, Diverging: r.Diverging}
		if q.ByID {
			a.TopicID = p.TopicID
		} else {
			a.Topic = p.Partition.Topic
		}
		if n := r.Bytes(); n > 0 {
			a.Records = make([]byte, n)
			if _, err := r.Data.Slice.ReadAt(a.Records, 0); err != nil {
				return nil, err
			}
			loans = append(loans, a.Records)
			m.CountSent(p.Partition.Topic, p.Partition.Partition, n)
		}
		reply.Partitions = append(reply.Partitions, a)
	}
	return reply, nil
}

// Offsets implements [Leader].
func (l *testLink) Offsets(_ context.Context, which int64, asks []EpochAsk) ([]OffsetReply, error) {
	m, err := l.reach()
	if err != nil {
		return nil, err
	}
	replies := make([]OffsetReply, len(asks))
	for i, a := range asks {
		l.note("offset %d of %s epoch %d", which, a.Partition, a.CurrentLeaderEpoch)
		found, err := m.LookupOffset(OffsetQuery{Partition: a.Partition, Timestamp: which, CurrentLeaderEpoch: a.CurrentLeaderEpoch, Replica: l.from.id})
		replies[i] = OffsetReply{Err: err, Offset: found.Offset}
	}
	return replies, nil
}

// EpochEnds implements [Leader].
func (l *testLink) EpochEnds(_ context.Context, asks []EpochAsk) ([]EpochReply, error) {
	m, err := l.reach()
	if err != nil {
		return nil, err
	}
	replies := make([]EpochReply, len(asks))
	for i, a := range asks {
		l.note("end of epoch %d of %s epoch %d", a.Epoch, a.Partition, a.CurrentLeaderEpoch)
		d, err := m.EndOfEpoch(a.Partition, a.CurrentLeaderEpoch, a.Epoch)
		replies[i] = EpochReply{Err: err, Divergence: d}
	}
	return replies, nil
}

// Close implements [Leader].
func (l *testLink) Close() { l.closed = true }
