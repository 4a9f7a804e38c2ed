package zkstore

// Watch tells that something should be read again. ZooKeeper's watches are one-shot and are set by reads: while a
// Watch is open, the Store method named in its comment sets them as a side effect, so the loop is
//
//	w := z.WatchBrokers()
//	defer w.Stop()
//	for {
//		read with z.Brokers(ctx)
//		<-w.C
//	}
//
// Changes between two reads fold into one signal. Watches survive reconnects. When the session ends, a last signal is
// given so that the reader finds out.
type Watch struct {
	// C carries "look again". Sent to by the session, received by the owner, never closed; capacity 1 because
	// one pending wake-up covers all that happened before it is taken.
	C <-chan struct{}
}

// Take returns the names (topics, broker ids) that changed since the last Take, sorted. It is for watches over many
// znodes, such as [Store.WatchTopicNodes]; on others it returns nothing of use.
func (w *Watch) Take() []string { return nil }

// Stop ends the subscription.
func (w *Watch) Stop() {}
