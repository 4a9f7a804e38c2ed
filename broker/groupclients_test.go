//go:build unix

package broker_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kraal-mq/kraal/tools/testkit"
)

// Consumers of two makes share a group through joins, leaves, deaths and coordinators that go. A partition is owned by one of them at a
// time, and every record is consumed at least once.
func TestConsumersOfTwoMakes(t *testing.T) {
	t.Parallel()
	f := startProcFleet(t, map[string]string{"group.initial.rebalance.delay.ms": "500"})
	const topic, partitions, group = "orders", 12, "mixed"
	createReplicated(t, f.client, topic, partitions, 3)
	p := &party{t: t, addrs: f.fleet.Addrs(), topic: topic, group: group, owners: map[int32]string{}, seen: map[string]int{}, live: map[string]consumer{},
		committed: map[int32]int64{}, from: map[int32]int64{}}
	stopProducing := p.produce(f.client, partitions)
	p.watchCommits(fleetClient(t, f.fleet.Addrs()))

	p.franz("franz-1")
	p.sarama("sarama-1")
	p.settled(partitions, "two consumers")
	p.franz("franz-2")
	p.sarama("sarama-2")
	p.settled(partitions, "four consumers")
	p.leave("franz-1")
	p.settled(partitions, "one left")
	p.kill("sarama-1")
	p.settled(partitions, "one died")
	p.franz("franz-3")
	p.kill("franz-2")
	p.settled(partitions, "one came, one died")

	partition := f.partitionOf(group)
	for _, harm := range []string{"stop", "kill"} {
		s, _ := f.znodes.State(internalTopic, partition)
		if harm == "stop" {
			f.fleet.Proc(s.Leader).Stop()
		} else {
			f.fleet.Proc(s.Leader).Kill()
		}
		p.sarama("sarama-after-" + harm)
		p.settled(partitions, "coordinator gone: "+harm)
		f.fleet.Start()
		f.awaitInternalISR(partition, 3)
	}
	produced := stopProducing()
	p.consumed(produced)
	p.leaveAll()
}

// party is consumers of one group, and what they own and have seen.
type party struct {
	t     *testing.T
	addrs []string
	topic string
	group string

	mu        sync.Mutex
	owners    map[int32]string
	seen      map[string]int // values
	live      map[string]consumer
	committed map[int32]int64
	// from is what was committed when a partition was assigned: nothing before it is to be consumed by that owner.
	from map[int32]int64
}

// consumer is one of the party.
type consumer struct {
	close func()
	wire  *killableDialer
}

// own notes that a consumer was assigned partitions. Nobody else may own them.
func (p *party) own(name string, partitions []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, alive := p.live[name]; !alive {
		return
	}
	for _, n := range partitions {
		if owner, owned := p.owners[n]; owned && owner != name {
			p.t.Errorf("%s is assigned partition %d, which %s owns", name, n, owner)
		}
		p.owners[n], p.from[n] = name, p.committed[n]
	}
}

func (p *party) disown(name string, partitions []int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range partitions {
		if p.owners[n] == name {
			delete(p.owners, n)
		}
	}
}

func (p *party) saw(name string, partition int32, offset int64, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[value]++
	if p.owners[partition] == name && offset < p.from[partition] {
		p.t.Errorf("%s consumes offset %d of partition %d, but %d was committed when it was assigned", name, offset, partition, p.from[partition])
		p.from[partition] = offset // once is enough
	}
}

// watchCommits looks at the committed offsets until the test ends. They never go back.
func (p *party) watchCommits(c *kgo.Client) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan struct{})
	p.t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for looks := 0; ctx.Err() == nil; looks++ {
			offsets, err := kadm.NewClient(c).FetchOffsets(ctx, p.group)
			if err == nil {
				err = offsets.Error()
			}
			if err != nil {
				continue // the coordinator is on its way
			}
			p.mu.Lock()
			offsets.Each(func(o kadm.OffsetResponse) {
				if o.At < p.committed[o.Partition] {
					p.t.Errorf("partition %d was committed up to %d, and is now up to %d", o.Partition, p.committed[o.Partition], o.At)
				}
				p.committed[o.Partition] = o.At
			})
			p.mu.Unlock()
			time.Sleep(50 * time.Millisecond) // how often it looks
		}
	}()
}

// settled waits until all partitions are owned, each consumer owning some.
func (p *party) settled(partitions int, when string) {
	p.t.Helper()
	began := time.Now()
	testkit.Eventually(p.t, recovery, "an owner for every partition: "+when, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		having := map[string]bool{}
		for _, owner := range p.owners {
			having[owner] = true
		}
		return len(p.owners) == partitions && len(having) == len(p.live)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	again := 0
	for _, times := range p.seen {
		again += times - 1
	}
	p.t.Logf("%s: settled after %v, %d records seen, %d times again", when, time.Since(began).Round(time.Millisecond), len(p.seen), again)
}

// gone takes a consumer out, with what it owns.
func (p *party) gone(name string) consumer {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.live[name]
	delete(p.live, name)
	for n, owner := range p.owners {
		if owner == name {
			delete(p.owners, n)
		}
	}
	return c
}

// leave lets a consumer go in peace.
func (p *party) leave(name string) {
	p.mu.Lock()
	c := p.live[name]
	p.mu.Unlock()
	c.close()
	p.gone(name)
}

// kill lets nothing of a consumer be heard any more, as kill -9 does.
func (p *party) kill(name string) {
	c := p.gone(name)
	c.wire.kill()
	p.t.Cleanup(c.close)
}

func (p *party) leaveAll() {
	p.mu.Lock()
	names := slices.Sorted(maps.Keys(p.live))
	p.mu.Unlock()
	for _, name := range names {
		p.leave(name)
	}
}

func (p *party) joined(name string, c consumer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[name] = c
}

// produce writes numbered records to all partitions until the function it returns is called, which tells how many there are.
func (p *party) produce(c *kgo.Client, partitions int32) (stop func() int) {
	ctx, cancel := context.WithCancel(p.t.Context())
	done := make(chan int, 1)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			r := &kgo.Record{Topic: p.topic, Partition: int32(n) % partitions, Value: strconv.AppendInt(nil, int64(n), 10)}
			if err := c.ProduceSync(context.WithoutCancel(ctx), r).FirstErr(); err != nil {
				p.t.Errorf("record %d: %v", n, err)
				break
			}
		}
		done <- n
	}()
	return func() int {
		cancel()
		return <-done
	}
}

// consumed waits until all records have been seen.
func (p *party) consumed(n int) {
	p.t.Helper()
	testkit.Eventually(p.t, recovery, "all records to be consumed", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.seen) >= n
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	again := 0
	for _, times := range p.seen {
		again += times - 1
	}
	p.t.Logf("%d records were produced and consumed, %d of them again", n, again)
}

const (
	consumerSession   = 6 * time.Second
	consumerHeartbeat = 500 * time.Millisecond
)

// franz adds a franz-go consumer.
func (p *party) franz(name string) {
	p.t.Helper()
	wire := &killableDialer{}
	own := func(do func(string, []int32)) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { do(name, partitions[p.topic]) }
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(p.addrs...), kgo.Dialer(wire.DialContext), kgo.ClientID(name), kgo.ConsumerGroup(p.group), kgo.ConsumeTopics(p.topic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(consumerSession), kgo.HeartbeatInterval(consumerHeartbeat), kgo.RebalanceTimeout(10*time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(time.Second), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.OnPartitionsAssigned(own(p.own)), kgo.OnPartitionsRevoked(own(p.disown)), kgo.OnPartitionsLost(own(p.disown)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.joined(name, consumer{c.Close, wire})
	go func() {
		for {
			fetches := c.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(r *kgo.Record) { p.saw(name, r.Partition, r.Offset, string(r.Value)) })
		}
	}()
}

// sarama adds a sarama consumer.
func (p *party) sarama(name string) {
	p.t.Helper()
	wire := &killableDialer{}
	config := sarama.NewConfig()
	config.ClientID = name
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, wire
	config.Net.DialTimeout = 2 * time.Second
	config.Consumer.Group.Session.Timeout, config.Consumer.Group.Heartbeat.Interval = consumerSession, consumerHeartbeat
	config.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Metadata.Retry.Max, config.Metadata.Retry.Backoff = 50, 100*time.Millisecond
	g, err := sarama.NewConsumerGroup(p.addrs, p.group, config)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	p.joined(name, consumer{func() {
		cancel()
		<-done
		_ = g.Close()
	}, wire})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := g.Consume(ctx, []string{p.topic}, &saramaConsumer{p, name}); errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			} else if err != nil {
				time.Sleep(100 * time.Millisecond) // do not spin against a fleet that is away
			}
		}
	}()
}

type saramaConsumer struct {
	p    *party
	name string
}

func (c *saramaConsumer) Setup(s sarama.ConsumerGroupSession) error {
	c.p.own(c.name, s.Claims()[c.p.topic])
	return nil
}

func (c *saramaConsumer) Cleanup(s sarama.ConsumerGroupSession) error {
	c.p.disown(c.name, s.Claims()[c.p.topic])
	return nil
}

func (c *saramaConsumer) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			c.p.saw(c.name, m.Partition, m.Offset, string(m.Value))
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
}

// killableDialer makes connections that can all be ended at once, for good.
type killableDialer struct {
	mu    sync.Mutex
	dead  bool
	conns []net.Conn
}

var errKilled = errors.New("killed")

func (d *killableDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		c.Close()
		return nil, errKilled
	}
	d.conns = append(d.conns, c)
	return c, nil
}

// Dial is for sarama.
func (d *killableDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

func (d *killableDialer) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for _, c := range d.conns {
		c.Close()
	}
}
