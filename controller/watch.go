package controller

import "github.com/kraal-mq/kraal/zkstore"

// followController opens the watch on /controller, before it is read, for as long as the session lasts.
func (l *loop) followController(s *session) {
	w := s.store.WatchController()
	l.watched.Go(func() {
		defer w.Stop()
		for {
			select {
			case <-w.C:
				l.c.queue.put(&controllerChanged{session: s})
			case <-s.ctx.Done():
				return
			}
		}
	})
}

// follow opens the watches of a term, before anything is read, and turns their signals into events until the term ends.
func (t *term) follow() {
	open := func(w *zkstore.Watch, e func(names []string) event) {
		t.running.Go(func() {
			defer w.Stop()
			for {
				select {
				case <-w.C:
					t.l.c.queue.put(e(w.Take()))
				case <-t.ctx.Done():
					return
				}
			}
		})
	}
	open(t.store.WatchBrokers(), func([]string) event { return &brokersChanged{} })
	open(t.store.WatchBrokerNodes(), func(ids []string) event { return &brokerNodesChanged{ids: ids} })
	open(t.store.WatchTopics(), func([]string) event { return &topicsChanged{} })
	open(t.store.WatchTopicNodes(), func(topics []string) event { return &topicNodesChanged{topics: topics} })
	open(t.store.WatchTopicDeletions(), func([]string) event { return &deletionsChanged{} })
	open(t.store.WatchReassignments(), func([]string) event { return &reassignmentsChanged{} })
	open(t.store.WatchPreferredElection(), func([]string) event { return &preferredElectionChanged{} })
	open(t.store.WatchISRChanges(), func([]string) event { return &isrChangesPublished{} })
	open(t.store.WatchLogDirEvents(), func([]string) event { return &logDirEventsPublished{} })
}
