package broker

import "sync/atomic"

// brokerState is where the broker is in its life. The values are Kafka's (BrokerState.java).
type brokerState int32

const (
	notRunning brokerState = 0
	// starting: entered by Run; nothing is served yet.
	starting brokerState = 1
	// recovering: the logs are being loaded, and scanned where they were not closed cleanly.
	recovering brokerState = 2
	// running: registered in ZooKeeper and serving. What the broker is made of may be looked at from here on.
	running brokerState = 3
	// leaving: the controller is asked to hand leadership over.
	leaving brokerState = 6
	// stopping: nothing new is accepted.
	stopping brokerState = 7
)

func (s brokerState) String() string {
	switch s {
	case starting:
		return "starting"
	case recovering:
		return "loading and recovering the logs"
	case running:
		return "running"
	case leaving:
		return "handing leadership over before it stops"
	case stopping:
		return "stopping"
	}
	return "not running"
}

// atomicState is a brokerState that others may look at.
type atomicState struct{ v atomic.Int32 }

func (a *atomicState) load() brokerState   { return brokerState(a.v.Load()) }
func (a *atomicState) store(s brokerState) { a.v.Store(int32(s)) }
