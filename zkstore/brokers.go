package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// RegisterBroker creates the broker's ephemeral znode and returns the broker epoch, its czxid. A znode left behind by
// the earlier session previous of this process (0: none) is removed; one of any other session is [ErrBrokerIDTaken].
func (z *Store) RegisterBroker(ctx context.Context, r BrokerRegistration, previous int64) (meta.BrokerEpoch, error) {
	at := BrokerPath(r.ID)
	data := encodeBroker(r)
	for {
		stat, err := z.s.createEphemeral(ctx, at, data)
		if err == nil {
			return meta.BrokerEpoch(stat.Czxid), nil
		}
		if !errors.Is(err, ErrNodeExists) {
			return 0, err
		}
		there, err := z.s.get(ctx, at)
		switch {
		case errors.Is(err, ErrNoNode): // its session has just ended
		case err != nil:
			return 0, err
		case there.stat.EphemeralOwner == z.s.ID():
			if string(there.data) != string(data) { // else the reply to an attempt of ours was lost
				err = z.UpdateBroker(ctx, r)
			}
			return meta.BrokerEpoch(there.stat.Czxid), err
		case previous != 0 && there.stat.EphemeralOwner == previous:
			if err := z.s.delete(ctx, at, there.stat.Version); err != nil && !errors.Is(err, ErrBadVersion) {
				return 0, err
			}
		default:
			return 0, fmt.Errorf("register broker %d: %w (session %#x)", r.ID, ErrBrokerIDTaken, there.stat.EphemeralOwner)
		}
	}
}

// UpdateBroker rewrites the registration in place, which keeps the broker epoch (advertised listeners changed).
func (z *Store) UpdateBroker(ctx context.Context, r BrokerRegistration) error {
	_, err := z.s.set(ctx, BrokerPath(r.ID), encodeBroker(r), anyVersion)
	return err
}

// Brokers reads all registrations. One that cannot be read is left out and told of in broken.
func (z *Store) Brokers(ctx context.Context) (live map[meta.BrokerID]meta.Broker, broken map[meta.BrokerID]error, err error) {
	names, err := z.s.children(ctx, brokersPath)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]meta.BrokerID, 0, len(names))
	for _, name := range names {
		id, err := strconv.ParseInt(name, 10, 32)
		if err != nil || strconv.FormatInt(id, 10) != name {
			z.s.log.Warn("not a broker id", zap.String("path", brokersPath+"/"+name))
			continue
		}
		ids = append(ids, meta.BrokerID(id))
	}
	return collect(ctx, z.s, ids, BrokerPath, brokerOf)
}

// Broker reads one registration; [ErrNoNode] when the broker is not alive.
func (z *Store) Broker(ctx context.Context, id meta.BrokerID) (meta.Broker, error) {
	n, err := z.s.get(ctx, BrokerPath(id))
	if err != nil {
		return meta.Broker{}, err
	}
	return brokerOf(id, n)
}

func brokerOf(id meta.BrokerID, n znode) (meta.Broker, error) {
	r, err := decodeBroker(id, n.data)
	if err != nil {
		return meta.Broker{}, unreadable(BrokerPath(id), err)
	}
	return meta.Broker{ID: id, Epoch: meta.BrokerEpoch(n.stat.Czxid), Endpoints: r.Endpoints, Rack: r.Rack}, nil
}

// WatchBrokers tells of brokers coming and going; [Store.Brokers] re-arms it.
func (z *Store) WatchBrokers() *Watch {
	return z.s.watches.subscribe(watchKey{brokersPath, childWatch}, false)
}

// WatchBrokerNodes tells of brokers that rewrote their registration; [Store.Brokers] and [Store.Broker] re-arm it and
// Take returns the ids.
func (z *Store) WatchBrokerNodes() *Watch {
	return z.s.watches.subscribe(watchKey{brokersPath, dataWatch}, true)
}

// BrokerSequenceID draws the next generated broker number, counting from 1; the broker id is this plus reserved.broker.max.id.
// A number whose answer was lost is never used.
func (z *Store) BrokerSequenceID(ctx context.Context) (int32, error) {
	for {
		version, err := z.s.set(ctx, brokerSequencePath, []byte{}, anyVersion)
		if !errors.Is(err, ErrNoNode) {
			return version, err
		}
		if err := z.s.ensure(ctx, brokerSequencePath); err != nil {
			return 0, err
		}
	}
}
