package group

// HeartbeatRequest is a Heartbeat.
type HeartbeatRequest struct {
	Group      string
	MemberID   string
	InstanceID *string
	Generation int32
}

// Heartbeat takes a Heartbeat and returns what it is answered. That of a group whose members are waiting for their assignment is answered
// with no error (KAFKA-13437): only those who would have to join again are told so.
func (s *Shard) Heartbeat(q HeartbeatRequest) error {
	g := s.groups[q.Group]
	if g == nil {
		return ErrUnknownMember
	}
	m, err := g.checkGeneration(q.MemberID, q.InstanceID, q.Generation)
	if err != nil {
		return err
	}
	s.heardFrom(g, m)
	if g.state == PreparingRebalance {
		return ErrRebalanceInProgress
	}
	return nil
}
