package zkstore

import (
	"context"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// ControllerInfo is the content of /controller.
type ControllerInfo struct {
	ID         meta.BrokerID
	Timestamp  time.Time // zero when unknown
	KRaftEpoch int32     // above 0 while a KRaft controller migrates the cluster, else -1
}

// Controllership is an election won.
type Controllership struct {
	ID           meta.BrokerID
	Epoch        meta.ControllerEpoch
	EpochVersion int32 // of /controller_epoch
}

// Fence guards the writes of this controllership.
func (c Controllership) Fence() Fence { return ControllerFence(c.EpochVersion) }

// Controller reads /controller; [ErrNoNode] when there is none.
func (z *Store) Controller(ctx context.Context) (ControllerInfo, error) {
	return ControllerInfo{}, errPending
}

// WatchController tells of /controller appearing, changing or vanishing; [Store.Controller] re-arms it, also when
// there is no controller.
func (z *Store) WatchController() *Watch { return nil }

// ControllerEpoch reads /controller_epoch and its version; [ErrNoNode] before the first election.
func (z *Store) ControllerEpoch(ctx context.Context) (epoch meta.ControllerEpoch, version int32, err error) {
	return 0, 0, errPending
}

// Elect tries to become controller: one multi creates /controller and raises the epoch. [ErrElectionLost] means another
// broker was faster. A lost reply is settled by reading both znodes again.
func (z *Store) Elect(ctx context.Context, id meta.BrokerID, now time.Time) (Controllership, error) {
	return Controllership{}, errPending
}

// Resign deletes /controller, under the fence, so that another election begins at once.
func (z *Store) Resign(ctx context.Context, f Fence) error { return errPending }
