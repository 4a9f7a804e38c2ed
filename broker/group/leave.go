package group

// Leaving names a member that is to leave: by its id, or, as administrators do, by its instance id alone (KIP-345).
type Leaving struct {
	MemberID   string
	InstanceID *string
	Reason     *string
}

// Leave takes a LeaveGroup and returns the outcome for each member, in order, or an error for the whole.
func (s *Shard) Leave(group string, leaving []Leaving) ([]error, error) {
	g := s.groups[group]
	outcomes := make([]error, len(leaving))
	if g == nil {
		for i := range outcomes {
			outcomes[i] = ErrUnknownMember
		}
		return outcomes, nil
	}
	if g.state == Dead {
		return nil, ErrCoordinatorNotAvailable
	}
	for i, l := range leaving {
		outcomes[i] = s.leave(g, l)
	}
	return outcomes, nil
}

func (s *Shard) leave(g *Group, l Leaving) error {
	if l.MemberID == "" {
		if l.InstanceID == nil || g.statics[*l.InstanceID] == nil {
			return ErrUnknownMember
		}
		s.expel(g, g.statics[*l.InstanceID], left, l.Reason)
		return nil
	}
	if g.pending[l.MemberID] != nil {
		s.removePending(g, l.MemberID)
		return nil
	}
	m, err := g.check(l.MemberID, l.InstanceID)
	if err == nil {
		s.expel(g, m, left, l.Reason)
	}
	return err
}
