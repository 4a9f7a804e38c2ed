package controller

import "github.com/twmb/franz-go/pkg/kmsg"

// activity is Kafka's word for what a controller is doing (ControllerState.scala): it groups events for the metrics. The values
// are Kafka's.
type activity int32

const (
	idle activity = iota
	controllerChange
	brokerChange
	topicChange
	topicDeletion
	partitionReassignment
	autoLeaderBalance
	manualLeaderBalance
	controlledShutdownState
	isrChange
	leaderAndISRResponse
	logDirChange
	controllerShutdown
	uncleanElectionEnable
	topicUncleanElectionEnable
	listReassignment
	updateMetadataResponse
	updateFeatures
	activityCount
)

// activityNames are those of the timers, empty where there is none.
var activityNames = [activityCount]string{
	controllerChange: "controllerchange", brokerChange: "leaderelection", topicChange: "topicchange", topicDeletion: "topicdeletion",
	partitionReassignment: "partitionreassignment", autoLeaderBalance: "autoleaderbalance", manualLeaderBalance: "manualleaderbalance",
	controlledShutdownState: "controlledshutdown", isrChange: "isrchange", leaderAndISRResponse: "leaderandisrresponsereceived",
	logDirChange: "logdirchange", controllerShutdown: "controllershutdown", uncleanElectionEnable: "uncleanleaderelectionenable",
	topicUncleanElectionEnable: "topicuncleanleaderelectionenable", listReassignment: "listpartitionreassignment", updateFeatures: "updatefeatures",
}

var activityHelp = [activityCount]string{
	controllerChange: "election and take-over", brokerChange: "brokers came, went or changed", topicChange: "topics or partitions were added",
	topicDeletion: "topics are deleted", partitionReassignment: "partitions are reassigned", autoLeaderBalance: "periodical look for preferred leaders",
	manualLeaderBalance: "elections that were asked for", controlledShutdownState: "controlled shutdown of a broker", isrChange: "ISR changes",
	leaderAndISRResponse: "answers to LeaderAndIsr", logDirChange: "failed log directories", controllerShutdown: "the end of a controller's session",
	uncleanElectionEnable:      "unclean.leader.election.enable of the broker turned true",
	topicUncleanElectionEnable: "unclean.leader.election.enable of a topic turned true",
	listReassignment:           "lists of reassignments", updateFeatures: "feature updates, which ZooKeeper mode has none of",
}

func activityOf(e event) activity {
	switch e := e.(type) {
	case *sessionStarted, *controllerChanged:
		return controllerChange
	case *sessionEnded:
		return controllerShutdown
	case *brokersChanged, *brokerNodesChanged:
		return brokerChange
	case *topicsChanged, *topicNodesChanged:
		return topicChange
	case *deletionsChanged, *deletionRetryDue:
		return topicDeletion
	case *reassignmentsChanged, *alterReassignments:
		return partitionReassignment
	case *rebalanceDue:
		return autoLeaderBalance
	case *preferredElectionChanged, *electLeaders:
		return manualLeaderBalance
	case *controlledShutdown:
		return controlledShutdownState
	case *isrChangesPublished, *alterPartition:
		return isrChange
	case *answered:
		return answerActivity(e.letter.request)
	case *logDirEventsPublished:
		return logDirChange
	case *uncleanElectionEnabled:
		if e.topic != "" {
			return topicUncleanElectionEnable
		}
		return uncleanElectionEnable
	case *listReassignments:
		return listReassignment
	}
	return idle
}

func answerActivity(r kmsg.Request) activity {
	switch r.(type) {
	case *kmsg.LeaderAndISRRequest:
		return leaderAndISRResponse
	case *kmsg.StopReplicaRequest:
		return topicDeletion
	}
	return updateMetadataResponse
}
