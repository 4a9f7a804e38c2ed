package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/sasl/jaas"
	"github.com/kraal-mq/kraal/zkstore"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// lifecycle is the broker's place in ZooKeeper: a session, a registration in it, and a new one of both when ZooKeeper has ended
// the old. While there is none the broker goes on serving what it safely may.
type lifecycle struct {
	b       *Broker
	log     *zap.Logger
	metrics *zkstore.Metrics

	current  atomic.Pointer[attached]
	stopping atomic.Bool
	// leaveBy is until when a stopping broker waits for ZooKeeper; zero before. It belongs to the goroutine that stops the broker.
	leaveBy  time.Time
	features *featureEpoch
	// advertised is what the present registration says; nil before the first. It belongs to whoever registers: the start, then Run.
	advertised []meta.Endpoint
	configs    *zkstore.Follower // keeps its place in the queue of changes over sessions
}

// attached is one session and the store on it.
type attached struct {
	session    *zkstore.Session
	store      *zkstore.Store
	registered atomic.Bool // the broker has registered in it
}

func newLifecycle(b *Broker) *lifecycle {
	l := &lifecycle{b: b, log: b.o.Logging.Logger("zookeeper"), metrics: zkstore.NewMetrics(b.o.Metrics)}
	l.features = newFeatureEpoch(l.log)
	l.configs = zkstore.FollowConfigs(b.configChanged)
	return l
}

// store is the store of the present session, or of the one that ended last.
func (l *lifecycle) store() *zkstore.Store { return l.current.Load().store }

// gone reports whether there is no session.
func (l *lifecycle) gone() bool { return l.current.Load().session.Err() != nil }

// mayLead reports whether ZooKeeper can not have taken this broker for dead since it registered last.
func (l *lifecycle) mayLead() bool {
	a := l.current.Load()
	return a.registered.Load() && a.session.Held()
}

// reachable reports whether a ZooKeeper server answers at the moment.
func (l *lifecycle) reachable() bool { return l.current.Load().session.Connected() }

// leave begins the time in which a stopping broker waits for ZooKeeper, should it be out of reach: as long as the session has to be
// ended by the broker, because ZooKeeper would not end it sooner, and then not at all. A broker that knows no other has nobody
// to hand anything over to.
func (l *lifecycle) leave() {
	l.leaveBy = time.Now()
	if len(l.b.meta.Load().Brokers()) > 1 {
		l.leaveBy = l.leaveBy.Add(l.b.dynamic.Current().ZooKeeper.SessionTimeout)
	}
}

// reachCheck is how often a stopping broker looks whether ZooKeeper is back.
const reachCheck = 20 * time.Millisecond

// awaitReachable waits for ZooKeeper while there is time, and reports whether it can be reached.
func (l *lifecycle) awaitReachable() bool {
	for !l.reachable() {
		if !time.Now().Before(l.leaveBy) {
			return false
		}
		time.Sleep(reachCheck)
	}
	return true
}

const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// retry calls f until it succeeds or ctx ends, pausing longer each time and saying why.
func (l *lifecycle) retry(ctx context.Context, what string, f func(context.Context) error) error {
	pause := firstRetry
	for {
		err := f(ctx)
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if fatal := (*fatalError)(nil); errors.As(err, &fatal) {
			return fatal.err
		}
		l.log.Warn(what+" failed, trying again", zap.Error(err), zap.Duration("in", pause))
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRetry)
	}
}

// fatalError ends a retry: the next try could not do better.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

// connect opens the first session. ZooKeeper may be away: the broker waits for it.
func (l *lifecycle) connect(ctx context.Context) error {
	o, err := zkOptions(l.b.dynamic.Current(), l.b.o.System, l.b.o.Logging.Logger("zookeeper"), l.metrics)
	if err == nil {
		err = o.Validate()
	}
	if err != nil {
		return err
	}
	var s *zkstore.Session
	err = l.retry(ctx, "connecting to ZooKeeper", func(ctx context.Context) (err error) {
		if s, err = zkstore.Connect(ctx, o); errors.Is(err, zkstore.ErrAuthFailed) {
			return &fatalError{err}
		}
		return err
	})
	if err != nil {
		return err
	}
	l.current.Store(&attached{session: s, store: zkstore.New(s)})
	return nil
}

func zkOptions(cfg *config.Config, system map[string]string, log *zap.Logger, m *zkstore.Metrics) (zkstore.Options, error) {
	z := cfg.ZooKeeper
	o := zkstore.Options{Connect: z.Connect, SessionTimeout: z.SessionTimeout, ConnectTimeout: z.ConnectionTimeout,
		MaxInFlight: inFlight(z.MaxInFlightRequests), SetACL: z.SetACL, Logger: log, Metrics: m}
	login, err := jaas.ZooKeeperLogin(z.JAASConfig, system)
	if err != nil {
		return o, fmt.Errorf("login to ZooKeeper: %w", err)
	}
	o.SASL = (*zkstore.SASL)(login)
	if !z.SSL.ClientEnable {
		return o, nil
	}
	o.TLS, err = zkTLS(z.SSL)
	return o, err
}

// kafkaInFlight is the default of zookeeper.max.in.flight.requests. Nobody chose it, so it does not slow bulk reads down here.
const kafkaInFlight = 10

func inFlight(configured int32) int {
	if configured == kafkaInFlight {
		return 0
	}
	return int(configured)
}

func zkTLS(s config.ZooKeeperSSL) (*tls.Config, error) {
	c, err := zkstore.TLSOptions{
		KeystoreLocation: s.KeystoreLocation, KeystorePassword: s.KeystorePassword,
		TruststoreLocation: s.TruststoreLocation, TruststorePassword: s.TruststorePassword,
		Protocol: s.Protocol, EnabledProtocols: s.EnabledProtocols, CipherSuites: s.CipherSuites,
		NoHostnameVerification: s.EndpointIdentificationAlgorithm == "",
	}.Config()
	if err != nil {
		return nil, fmt.Errorf("zookeeper.ssl: %w", err)
	}
	return c, nil
}

// checkMigration refuses to serve a cluster whose metadata a KRaft controller owns.
func (l *lifecycle) checkMigration(ctx context.Context) error {
	m, err := l.store().MigrationState(ctx)
	if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
		return fmt.Errorf("read /migration: %w", err)
	}
	c, err := l.store().Controller(ctx)
	if err != nil && !errors.Is(err, zkstore.ErrNoNode) {
		return fmt.Errorf("read /controller: %w", err)
	}
	if c.KRaftEpoch > 0 || m.KRaftControllerEpoch > 0 {
		return fmt.Errorf("a KRaft controller (id %d) owns this cluster's metadata since its migration: a ZooKeeper-mode broker must not join it", m.KRaftControllerID)
	}
	return nil
}

// register makes the broker known in the present session and lets its controller campaign.
func (l *lifecycle) register(ctx context.Context) error {
	if err := l.checkEndpoints(ctx); err != nil {
		return err
	}
	err := l.registerIn(ctx, 0)
	if errors.Is(err, zkstore.ErrBrokerIDTaken) && l.isOwnPast(ctx) {
		err = l.outliveOwnPast(ctx)
	}
	if errors.Is(err, zkstore.ErrBrokerIDTaken) {
		return fmt.Errorf("broker id %d is registered in ZooKeeper already: another broker uses it, or this one was moved before its old session had expired",
			l.b.id)
	}
	return err
}

// isOwnPast reports whether the registration in our way was made by this broker before it crashed: it advertises the very
// addresses that we have bound, so whoever made it cannot be listening there any more.
func (l *lifecycle) isOwnPast(ctx context.Context) bool {
	own, err := l.b.endpoints()
	if err != nil {
		return false
	}
	registered, err := l.store().Broker(ctx, l.b.id)
	if errors.Is(err, zkstore.ErrNoNode) {
		return true // gone by now
	}
	return err == nil && slices.Equal(own, registered.Endpoints)
}

// pastCheck is how often a broker looks whether its past is over.
const pastCheck = 100 * time.Millisecond

// outliveOwnPast registers as soon as ZooKeeper has ended the session of this broker's previous life. Kafka gives up instead and
// leaves it to the operator to start it again.
func (l *lifecycle) outliveOwnPast(ctx context.Context) error {
	limit := 2 * l.b.dynamic.Current().ZooKeeper.SessionTimeout
	l.log.Info("waiting for ZooKeeper to end the session of this broker's previous life", zap.Int32("broker", int32(l.b.id)), zap.Duration("at_most", limit))
	deadline := time.Now().Add(limit)
	for {
		err := l.registerIn(ctx, 0)
		if !errors.Is(err, zkstore.ErrBrokerIDTaken) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pastCheck):
		}
	}
}

// checkEndpoints refuses addresses that another broker advertises.
func (l *lifecycle) checkEndpoints(ctx context.Context) error {
	own, err := l.b.endpoints()
	if err != nil {
		return err
	}
	live, _, err := l.store().Brokers(ctx)
	if err != nil {
		return fmt.Errorf("read the registered brokers: %w", err)
	}
	for id, other := range live {
		if id == l.b.id {
			continue
		}
		for _, e := range own {
			for _, o := range other.Endpoints {
				if strings.EqualFold(e.Host, o.Host) && e.Port == o.Port {
					return fmt.Errorf("%s is advertised by broker %d already: check advertised.listeners", e.Addr(), id)
				}
			}
		}
	}
	return nil
}

func (l *lifecycle) registerIn(ctx context.Context, previous int64) error {
	a := l.current.Load()
	endpoints, err := l.b.endpoints()
	if err != nil {
		return err
	}
	epoch, err := a.store.RegisterBroker(ctx, l.registration(endpoints), previous)
	if err != nil {
		return fmt.Errorf("register broker %d: %w", l.b.id, err)
	}
	l.advertised = endpoints
	l.b.hosts.SetBrokerEpoch(epoch)
	a.registered.Store(true)
	l.log.Info("registered", zap.Int32("broker", int32(l.b.id)), zap.Int64("broker_epoch", int64(epoch)))
	l.b.ctl.Attach(a.store)
	return nil
}

func (l *lifecycle) registration(endpoints []meta.Endpoint) zkstore.BrokerRegistration {
	cfg := l.b.dynamic.Current()
	return zkstore.BrokerRegistration{ID: l.b.id, Endpoints: endpoints, Rack: cfg.Broker.Rack,
		JMXPort: -1, Timestamp: time.Now(), Version: registrationVersion(cfg.Broker.InterBrokerProtocol)}
}

// readvertise rewrites the registration when advertised.listeners has changed since; the broker epoch stays.
func (l *lifecycle) readvertise(ctx context.Context, z *zkstore.Store) error {
	if l.advertised == nil || l.b.otherListeners.Load() {
		return nil
	}
	endpoints, err := l.b.endpoints()
	if err != nil || slices.Equal(endpoints, l.advertised) {
		return err
	}
	if err := z.UpdateBroker(ctx, l.registration(endpoints)); err != nil {
		return fmt.Errorf("advertise other addresses: %w", err)
	}
	l.advertised = endpoints
	l.log.Info("other addresses advertised", zap.Any("endpoints", endpoints))
	return nil
}

func registrationVersion(v config.Version) int {
	switch {
	case v >= config.V2_7_IV0:
		return 5
	case v >= config.V0_10_0_IV1:
		return 4
	}
	return 2
}

// Run follows configuration changes and renews the session whenever it has ended, until ctx ends.
func (l *lifecycle) Run(ctx context.Context) error {
	for {
		a := l.current.Load()
		err := l.follow(ctx, a.store)
		if ctx.Err() != nil || l.stopping.Load() {
			return nil
		}
		if a.session.Err() == nil {
			// The queue cannot be read although the session lives; look again soon.
			l.log.Warn("following configuration changes failed, trying again", zap.Error(err))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(firstRetry):
			}
			continue
		}
		l.log.Warn("the ZooKeeper session is over; until there is a new one this broker is registered nowhere, and others may be elected",
			zap.String("session", fmt.Sprintf("%#x", a.session.ID())), zap.Error(a.session.Err()))
		// The controller must have resigned before this broker can act under a new session.
		l.b.ctl.Detach()
		if err := l.renew(ctx, a); err != nil {
			return err
		}
	}
}

// follow acts on what is announced in one session, and returns when that cannot go on.
func (l *lifecycle) follow(ctx context.Context, z *zkstore.Store) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if l.b.dynamic.Current().Broker.InterBrokerProtocol >= config.V2_7_IV0 {
		running.Go(func() { l.features.run(ctx, z) })
	}
	err := l.configs.Run(ctx, z)
	cancel()
	running.Wait()
	return err
}

// renew opens a new session, registers in it and catches up with what was changed meanwhile.
func (l *lifecycle) renew(ctx context.Context, old *attached) error {
	previous := old.session.ID()
	old.session.Close()
	if err := l.connect(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	err := l.retry(ctx, "registering again", func(ctx context.Context) error {
		if l.gone() {
			return l.connect(ctx)
		}
		return l.registerIn(ctx, previous)
	})
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	err = l.retry(ctx, "reading the configuration again", func(ctx context.Context) error {
		if l.gone() {
			return nil // Run sees it and renews once more
		}
		return errors.Join(l.b.applyBrokerConfigs(ctx, l.store()), l.b.reloadTopics(ctx, l.store()))
	})
	return ignoreEnd(ctx, err)
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// stop ends the broker's part in ZooKeeper: the controller resigns, then closing the session removes the registration, which takes a
// ZooKeeper that can be reached.
func (l *lifecycle) stop() {
	l.stopping.Store(true)
	l.b.ctl.Detach()
	if !l.gone() && !l.awaitReachable() {
		l.log.Warn("ZooKeeper cannot be reached, so it will end this broker's session only after its timeout")
	}
	l.close()
}

func (l *lifecycle) close() {
	if a := l.current.Load(); a != nil {
		a.session.Close()
	}
}

// publishDirFailure tells the controller that a log directory is gone.
func (l *lifecycle) publishDirFailure() {
	ctx, cancel := context.WithTimeout(context.Background(), l.b.dynamic.Current().ZooKeeper.SessionTimeout)
	defer cancel()
	if err := l.store().PublishLogDirFailure(ctx, l.b.id); err != nil {
		l.log.Error("the controller could not be told of a failed log directory", zap.Error(err))
	}
}

// brokerEntity is where this broker's own dynamic configuration is kept.
func (b *Broker) brokerEntity() meta.Entity {
	return meta.Entity{Type: meta.BrokerEntity, Name: fmt.Sprint(int32(b.id))}
}
