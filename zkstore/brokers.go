package zkstore

import (
	"context"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// BrokerRegistration is what a broker says of itself in /brokers/ids/<id>.
type BrokerRegistration struct {
	ID        meta.BrokerID
	Endpoints []meta.Endpoint
	Rack      string    // empty: none
	JMXPort   int32     // -1: none
	Timestamp time.Time // of the start; informative
	Version   int       // of the format: 5, or 4 below inter.broker.protocol.version 2.7, 2 below 0.10.0; 0 means 5
}

// RegisterBroker creates the broker's ephemeral znode and returns the broker epoch, its czxid. A znode left behind by
// the earlier session previous of this process (0: none) is removed; one of any other session is [ErrBrokerIDTaken].
func (z *Store) RegisterBroker(ctx context.Context, r BrokerRegistration, previous int64) (meta.BrokerEpoch, error) {
	return 0, errPending
}

// UpdateBroker rewrites the registration in place, which keeps the broker epoch (advertised listeners changed).
func (z *Store) UpdateBroker(ctx context.Context, r BrokerRegistration) error { return errPending }

// Brokers reads all registrations. One that cannot be read is left out and told of in broken.
func (z *Store) Brokers(ctx context.Context) (live map[meta.BrokerID]meta.Broker, broken map[meta.BrokerID]error, err error) {
	return nil, nil, errPending
}

// Broker reads one registration; [ErrNoNode] when the broker is not alive.
func (z *Store) Broker(ctx context.Context, id meta.BrokerID) (meta.Broker, error) {
	return meta.Broker{}, errPending
}

// WatchBrokers tells of brokers coming and going; [Store.Brokers] re-arms it.
func (z *Store) WatchBrokers() *Watch { return nil }

// WatchBrokerNodes tells of brokers that rewrote their registration; [Store.Brokers] and [Store.Broker] re-arm it and
// Take returns the ids.
func (z *Store) WatchBrokerNodes() *Watch { return nil }

// BrokerSequenceID draws the next generated broker number, counting from 1; the broker id is this plus reserved.broker.max.id.
func (z *Store) BrokerSequenceID(ctx context.Context) (int32, error) { return 0, errPending }
