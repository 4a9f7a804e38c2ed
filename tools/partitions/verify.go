package partitions

import (
	"slices"
	"strings"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

func (t *tool) verify() error {
	p, err := readPlan(t.String(planFile))
	if err != nil {
		return err
	}
	moving, err := t.reassignments(nil)
	if err != nil {
		return err
	}
	states, err := t.states(p, moving)
	if err != nil {
		return err
	}
	t.print("%s\n", describeStates(p.partitions(), states))
	places, err := t.places(p.dirs)
	if err != nil {
		return err
	}
	t.print("%s\n", describeMoves(p.dirs, places))
	if len(moving) > 0 || !movesOver(p.dirs, places, states) || t.Bool("preserve-throttles") {
		return nil
	}
	return t.clearThrottles(p)
}

// movesOver reports whether no replica is or may be on its way to another log directory. One that is in no live log
// directory may be, unless its broker is to have none of the partition: then there is nothing to wait for.
func movesOver(targets map[replica]string, places map[replica]place, states map[meta.TopicPartition]state) bool {
	for r := range targets {
		at, expected := places[r], slices.Contains(states[r.TopicPartition].current, r.broker)
		if at.future != "" || at.current == "" && expected {
			return false
		}
	}
	return true
}

// state is how far a partition has got.
type state struct {
	moving          bool
	current, target []int32
}

// states looks partitions up: those that are not moving in the metadata. One that does not exist has no replicas.
func (t *tool) states(p plan, moving map[meta.TopicPartition]running) (map[meta.TopicPartition]state, error) {
	var still []meta.TopicPartition
	for _, tp := range p.partitions() {
		if _, ok := moving[tp]; !ok {
			still = append(still, tp)
		}
	}
	topics, _, err := t.describe(topicsOf(still))
	if err != nil {
		return nil, err
	}
	states := map[meta.TopicPartition]state{}
	for tp, target := range p.targets() {
		s := state{target: target}
		if r, ok := moving[tp]; ok {
			s.moving, s.current = true, r.replicas
		} else if topic := topics[tp.Topic]; topic != nil {
			if i := slices.IndexFunc(topic.Partitions, func(p *sarama.PartitionMetadata) bool { return p.ID == tp.Partition }); i >= 0 {
				s.current = topic.Partitions[i].Replicas
			}
		}
		states[tp] = s
	}
	return states, nil
}

func describeStates(partitions []meta.TopicPartition, states map[meta.TopicPartition]state) string {
	lines := []string{"Status of partition reassignment:"}
	for _, tp := range partitions {
		switch s := states[tp]; {
		case s.moving:
			lines = append(lines, "Reassignment of partition "+tp.String()+" is still in progress.")
		case slices.Equal(s.current, s.target):
			lines = append(lines, "Reassignment of partition "+tp.String()+" is completed.")
		default:
			lines = append(lines, "There is no active reassignment of partition "+tp.String()+
				", but replica set is "+join(s.current, ",")+" rather than "+join(s.target, ",")+".")
		}
	}
	return strings.Join(lines, "\n")
}

// clearThrottles removes the throttles of all live brokers, of those in the plan, and of the plan's topics: from where
// replicas have moved is not known any more. Brokers that are gone come last, because it takes a while to give up on them.
func (t *tool) clearThrottles(p plan) error {
	_, live, err := t.cluster.Describe(t.Context.Context, "listNodes")
	if err != nil {
		return client.Execution(err)
	}
	gone := without(p.brokers(), live)
	brokers := slices.Concat(live, gone)
	slices.Sort(brokers)
	topics := p.topics()
	s := noThrottle(brokers, topics)
	t.print("Clearing broker-level throttles on broker%s %s\n", plural(len(brokers)), join(brokers, ","))
	first := t.configure(noThrottle(live, nil))
	t.print("Clearing topic-level throttles on topic%s %s\n", plural(len(topics)), strings.Join(topics, ","))
	for _, rest := range []settings{s.ofKind(kmsg.ConfigResourceTypeTopic), noThrottle(gone, nil)} {
		if err := t.configure(rest); err != nil && first == nil {
			first = err
		}
	}
	return first
}
