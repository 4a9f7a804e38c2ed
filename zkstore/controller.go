package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-zookeeper/zk"

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
	info, _, err := z.controller(ctx)
	return info, err
}

func (z *Store) controller(ctx context.Context) (ControllerInfo, *zk.Stat, error) {
	n, err := z.s.get(ctx, controllerPath)
	if err != nil {
		return ControllerInfo{}, nil, err
	}
	info, err := decodeController(n.data)
	return info, n.stat, unreadable(controllerPath, err)
}

// WatchController tells of /controller appearing, changing or vanishing; [Store.Controller] re-arms it, also when
// there is no controller.
func (z *Store) WatchController() *Watch {
	return z.s.watches.subscribe(watchKey{controllerPath, dataWatch}, false)
}

// ControllerEpoch reads /controller_epoch and its version; [ErrNoNode] before the first election.
func (z *Store) ControllerEpoch(ctx context.Context) (epoch meta.ControllerEpoch, version int32, err error) {
	n, err := z.s.get(ctx, controllerEpochPath)
	if err != nil {
		return 0, 0, err
	}
	e, err := strconv.ParseInt(string(n.data), 10, 32)
	if err != nil {
		return 0, 0, unreadable(controllerEpochPath, err)
	}
	return meta.ControllerEpoch(e), n.stat.Version, nil
}

// Elect tries to become controller: one multi creates /controller and raises the epoch. [ErrElectionLost] means another
// broker was faster. A lost reply is settled by reading both znodes again.
func (z *Store) Elect(ctx context.Context, id meta.BrokerID, now time.Time) (Controllership, error) {
	c, err := z.elect(ctx, id, now)
	if err != nil {
		return Controllership{}, fmt.Errorf("elect broker %d controller: %w", id, err)
	}
	return c, nil
}

func (z *Store) elect(ctx context.Context, id meta.BrokerID, now time.Time) (c Controllership, err error) {
	epoch, version, err := z.ControllerEpoch(ctx)
	if errors.Is(err, ErrNoNode) { // the first election of this cluster
		if err := z.s.create(ctx, controllerEpochPath, []byte("0")); err != nil && !errors.Is(err, ErrNodeExists) {
			return c, err
		}
		epoch, version, err = z.ControllerEpoch(ctx)
	}
	if err != nil {
		return c, err
	}
	c = Controllership{ID: id, Epoch: epoch + 1, EpochVersion: version + 1}
	data := encodeController(id, now)
	results, lost, err := again(ctx, z.s, func() ([]zk.MultiResponse, error) {
		return z.s.conn.Multi(
			z.s.createRequest(controllerPath, data, zk.FlagEphemeral),
			z.s.setRequest(controllerEpochPath, strconv.AppendInt(nil, int64(c.Epoch), 10), version))
	})
	switch {
	case err == nil && len(results) == 2:
		return c, nil
	case err == nil:
		return c, errMulti
	case err != ErrNodeExists && err != ErrBadVersion:
		return c, err
	case !lost:
		return c, ErrElectionLost
	}
	// An earlier attempt may have won. It did if the znode is this session's and the epoch went up by that one step: the
	// session's ownership tells our attempt from one of an earlier process with our id.
	n, err := z.s.get(ctx, controllerPath)
	if errors.Is(err, ErrNoNode) || err == nil && n.stat.EphemeralOwner != z.s.ID() {
		return c, ErrElectionLost
	}
	if err != nil {
		return c, err
	}
	now2, version2, err := z.ControllerEpoch(ctx)
	if err != nil {
		return c, err
	}
	if now2 != c.Epoch || version2 != c.EpochVersion {
		return c, ErrElectionLost
	}
	return c, nil
}

// Resign deletes /controller, under the fence, so that another election begins at once.
func (z *Store) Resign(ctx context.Context, f Fence) error {
	return z.s.deleteFenced(ctx, f, controllerPath)
}

const controllerVersion = 2

// encodeController writes {"version":2,"brokerid":1,"timestamp":"1700000000000","kraftControllerEpoch":-1}.
func encodeController(id meta.BrokerID, now time.Time) []byte {
	b := []byte(`{"version":`)
	b = appendInt(b, controllerVersion)
	b = append(b, `,"brokerid":`...)
	b = appendInt(b, id)
	b = append(b, `,"timestamp":"`...)
	b = appendInt(b, now.UnixMilli())
	return append(b, `","kraftControllerEpoch":-1}`...)
}

func decodeController(data []byte) (c ControllerInfo, err error) {
	o, err := parseObject(data)
	if err != nil {
		return c, err
	}
	if c.ID, err = mandatory(o, "brokerid", asInt[meta.BrokerID](32)); err != nil {
		return c, err
	}
	c.Timestamp, _ = optional(o, "timestamp", asTimestamp, time.Time{})
	c.KRaftEpoch, err = optional(o, "kraftControllerEpoch", asInt[int32](32), -1)
	return c, err
}
