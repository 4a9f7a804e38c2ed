package controller

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// event is one thing that happened. It names a cause, not a state: handling it reads the state anew.
type event interface {
	// name is the event's label in logs and metrics.
	name() string
	// refuse answers whoever waits for the event; the loop calls it when the event will not be handled.
	refuse(err error)
}

// roleEvent is about being the controller or not. Active and standing-by controllers handle it.
type roleEvent interface {
	event
	play(l *loop)
}

// termEvent is handled by the active controller and refused by others. An error it returns has answered nobody yet.
type termEvent interface {
	event
	handle(t *term) error
}

// lookAgain marks events that come from a watch. One that failed is queued again: the read that arms the watch may not
// have happened, and then nobody else would say that there is something to see.
type lookAgain interface{ lookAgain() }

// silent is embedded by events nobody waits for.
type silent struct{}

func (silent) refuse(error) {}

// seen is embedded by events that come from a watch.
type seen struct{ silent }

func (seen) lookAgain() {}

// Events of the role.
type (
	sessionStarted struct { // a new ZooKeeper session, this broker registered in it
		silent
		session *session
	}
	sessionEnded struct { // the session is gone: resign, then close done
		session *session
		done    chan struct{} // closed by the loop (or by the queue when Run has ended)
	}
	gaugesDue         struct{ silent } // time to count what the gauges tell
	controllerChanged struct {         // /controller was created, changed or deleted, or it is time to look
		silent
		session *session
	}
)

// Events that say "look again". One without names covers everything of its kind.
type (
	brokersChanged     struct{ seen }
	brokerNodesChanged struct { // brokers rewrote their registrations
		seen
		ids []string
	}
	topicsChanged     struct{ seen }
	topicNodesChanged struct { // topic znodes were rewritten
		seen
		topics []string
	}
	deletionsChanged         struct{ seen } // /admin/delete_topics
	reassignmentsChanged     struct{ seen } // /admin/reassign_partitions
	preferredElectionChanged struct{ seen } // /admin/preferred_replica_election
	isrChangesPublished      struct{ seen } // by leaders on an old inter.broker.protocol.version
	logDirEventsPublished    struct{ seen }
)

// Events of the active controller's own making.
type (
	answered struct { // a broker answered a request of this term
		silent
		term   *term
		broker *broker // the life of the broker that answered
		letter letter
		answer kmsg.Response
	}
	rebalanceDue struct { // time to look for leaders that are not preferred ones
		silent
		term *term
	}
	deletionRetryDue struct { // time to ask live brokers once more to delete replicas of these topics
		silent
		term   *term
		topics map[*topic]struct{}
	}
	uncleanElectionEnabled struct { // of one topic, or of the default if empty
		silent
		topic string
	}
)

// Events that are questions of brokers.
type (
	alterPartition struct {
		from    meta.BrokerID
		epoch   meta.BrokerEpoch
		changes []PartitionChange
		answer  answer[[]PartitionChangeResult]
	}
	electLeaders struct {
		kind       ElectionType
		partitions []meta.TopicPartition
		answer     answer[[]ElectionResult]
	}
	alterReassignments struct {
		reassignments []Reassignment
		answer        answer[[]error]
	}
	listReassignments struct {
		partitions []meta.TopicPartition // nil: all
		answer     answer[map[meta.TopicPartition]meta.Assignment]
	}
	controlledShutdown struct {
		broker meta.BrokerID
		epoch  meta.BrokerEpoch
		answer answer[[]meta.TopicPartition]
	}
	allocateProducerIDs struct {
		broker meta.BrokerID
		epoch  meta.BrokerEpoch
		answer answer[ProducerIDBlock]
	}
)

func (e *sessionEnded) refuse(error)            { close(e.done) }
func (e *alterPartition) refuse(err error)      { e.answer.refuse(err) }
func (e *electLeaders) refuse(err error)        { e.answer.refuse(err) }
func (e *alterReassignments) refuse(err error)  { e.answer.refuse(err) }
func (e *listReassignments) refuse(err error)   { e.answer.refuse(err) }
func (e *controlledShutdown) refuse(err error)  { e.answer.refuse(err) }
func (e *allocateProducerIDs) refuse(err error) { e.answer.refuse(err) }

func (*sessionStarted) name() string           { return "session_started" }
func (*sessionEnded) name() string             { return "session_ended" }
func (*gaugesDue) name() string                { return "gauges" }
func (*controllerChanged) name() string        { return "controller_change" }
func (*brokersChanged) name() string           { return "broker_change" }
func (*brokerNodesChanged) name() string       { return "broker_modifications" }
func (*topicsChanged) name() string            { return "topic_change" }
func (*topicNodesChanged) name() string        { return "partition_modifications" }
func (*deletionsChanged) name() string         { return "topic_deletion" }
func (*reassignmentsChanged) name() string     { return "zk_partition_reassignment" }
func (*preferredElectionChanged) name() string { return "zk_preferred_election" }
func (*isrChangesPublished) name() string      { return "isr_change_notification" }
func (*logDirEventsPublished) name() string    { return "log_dir_event" }
func (*answered) name() string                 { return "broker_answer" }
func (*rebalanceDue) name() string             { return "auto_leader_balance" }
func (*deletionRetryDue) name() string         { return "topic_deletion_retry" }
func (*uncleanElectionEnabled) name() string   { return "unclean_election_enable" }
func (*alterPartition) name() string           { return "alter_partition" }
func (*electLeaders) name() string             { return "elect_leaders" }
func (*alterReassignments) name() string       { return "alter_partition_reassignments" }
func (*listReassignments) name() string        { return "list_partition_reassignments" }
func (*controlledShutdown) name() string       { return "controlled_shutdown" }
func (*allocateProducerIDs) name() string      { return "allocate_producer_ids" }
