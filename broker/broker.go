package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/kraal-mq/kraal/broker/api"
	"github.com/kraal-mq/kraal/broker/config"
	"github.com/kraal-mq/kraal/broker/fetchsession"
	"github.com/kraal-mq/kraal/broker/metadata"
	"github.com/kraal-mq/kraal/broker/peer"
	"github.com/kraal-mq/kraal/broker/replica"
	"github.com/kraal-mq/kraal/broker/storage"
	"github.com/kraal-mq/kraal/broker/storage/vfs"
	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/txn"
	"github.com/kraal-mq/kraal/controller"
	"github.com/kraal-mq/kraal/quota"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// Options is what a Broker is made of.
type Options struct {
	Config  *config.Static
	Version string // of the program, for /metrics
	Logging *Logging
	Metrics *prometheus.Registry
	// System holds Java's system properties as operators set them in KAFKA_OPTS. Those about logins are heeded.
	System map[string]string
	// Ready, if not nil, is called once when the broker serves requests.
	Ready func(b *Broker)
}

// Broker is one broker. New starts nothing; Run is its whole life.
type Broker struct {
	o       Options
	log     *zap.Logger
	dynamic *config.Dynamic

	id        meta.BrokerID
	clusterID string

	life   *lifecycle
	logs   *storage.Manager
	topics *topicConfigs
	meta   *metadata.Cache
	hosts  *replica.Manager
	ctl    *controller.Controller
	link   *controllerLink
	server *transport.Server
	// otherListeners is set while the listeners are not those configured; what is advertised then stays.
	otherListeners atomic.Bool
	rates          *quota.Connections
	throttles      *throttles
	coords         *coordinators
	txns           *txnLink
	verify         *txn.Verifier
	peers          *peer.Pool // the controller's requests to brokers
	asks           *peer.Pool // this broker's requests to the controller
	http           *httpServer
	state          atomicState
}

// New returns a broker that does nothing until Run.
func New(o Options) *Broker {
	log := o.Logging.Logger("broker")
	return &Broker{o: o, log: log, dynamic: config.NewDynamic(o.Config, o.Logging.Logger("config"))}
}

// drainTimeout is how long a stopping broker lets requests in progress finish.
const drainTimeout = 3 * time.Second

// Run starts the broker and serves until ctx ends, then stops it cleanly and returns nil. An error means that the broker could
// not start, or could not go on; it names the cause in one sentence.
func (b *Broker) Run(ctx context.Context) error {
	started := time.Now()
	if err := b.checkSupported(); err != nil {
		return err
	}
	b.state.store(starting)
	defer b.state.store(notRunning)
	b.registerMetrics()
	var err error
	if b.http, err = listenHTTP(ctx, b); err != nil {
		return err
	}
	defer b.http.start()()
	b.life = newLifecycle(b)
	if err := b.life.connect(ctx); err != nil {
		return err
	}
	defer b.life.close()
	if err := b.identify(ctx); err != nil {
		return err
	}
	b.registerIdentity()
	b.state.store(recovering)
	if err := b.openLogs(ctx); err != nil {
		return err
	}
	closed := false
	defer func() {
		if !closed {
			b.closeLogs()
		}
	}()
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.server.Listen(ctx); err != nil {
		return err
	}
	if err := b.life.register(ctx); err != nil {
		return err
	}
	b.log.Info("started", zap.Int32("broker", int32(b.id)), zap.String("cluster", b.clusterID),
		zap.Duration("took", time.Since(started)), zap.Strings("listeners", b.addresses()))
	b.state.store(running)
	err = b.serve(ctx)
	closed = true
	if err = errors.Join(err, b.closeLogs()); err == nil {
		b.log.Info("stopped")
	}
	return err
}

// serve runs everything until ctx ends or a part fails, and stops it in reverse.
func (b *Broker) serve(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.Background())
	defer stopWork()
	var parts, ctlRunning, coordsRunning sync.WaitGroup
	failed := make(chan error, 8) // one slot per part below, so that none blocks; nobody closes it
	part := func(wg *sync.WaitGroup, name string, ctx context.Context, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	coordCtx, stopCoords := context.WithCancel(context.Background())
	defer stopCoords()
	ctlCtx, stopCtl := context.WithCancel(context.Background())
	defer stopCtl()
	part(&parts, "storage", work, b.logs.Run)
	part(&parts, "replicas", work, b.hosts.Run)
	part(&parts, "controller link", work, b.link.Run)
	part(&parts, "network", work, b.server.Run)
	part(&coordsRunning, "coordinators", coordCtx, b.coords.Run)
	part(&ctlRunning, "controller", ctlCtx, b.ctl.Run)
	part(&parts, "ZooKeeper session", work, b.life.Run)
	if b.o.Ready != nil {
		b.o.Ready(b)
	}

	var err error
	select {
	case <-ctx.Done():
		b.log.Info("stopping")
		b.state.store(leaving)
		b.life.leave()
		b.leave()
	case err = <-failed:
		b.log.Error("stopping because a part of the broker failed", zap.Error(err))
	}
	b.state.store(stopping)
	b.hosts.Stop()
	stopCoords() // members that wait for others to join are told to look elsewhere
	coordsRunning.Wait()
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	_ = b.server.Shutdown(drain) // connections that would not end were cut
	b.life.stop()
	stopCtl()
	ctlRunning.Wait()
	stopWork()
	parts.Wait()
	b.verify.Close()
	b.txns.close()
	b.peers.Close()
	b.asks.Close()
	return err
}

// leave hands leadership over, so that producers find the next leader before this one is gone.
func (b *Broker) leave() {
	cfg := b.dynamic.Current().Shutdown
	if !cfg.ControlledEnable {
		return
	}
	for try := range cfg.ControlledMaxRetries {
		if !b.life.awaitReachable() {
			b.log.Warn("ZooKeeper cannot be reached, so leadership cannot be handed over")
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), b.dynamic.Current().Controller.SocketTimeout)
		remaining, err := b.link.ControlledShutdown(ctx)
		cancel()
		switch {
		case err == nil && len(remaining) == 0:
			return
		case err == nil:
			b.log.Info("the controller could not move every leadership away", zap.Int("partitions", len(remaining)), zap.Int32("try", try+1))
		case b.life.gone():
			return // nobody listens to a broker without a session
		default:
			b.log.Warn("the controller could not be asked to hand leadership over", zap.Error(err), zap.Int32("try", try+1))
		}
		if try+1 < cfg.ControlledMaxRetries {
			time.Sleep(cfg.ControlledRetryBackoff)
		}
	}
	b.log.Warn("stopping with leaderships that could not be handed over")
}

func (b *Broker) closeLogs() error {
	if b.logs == nil {
		return nil
	}
	if b.hosts != nil {
		b.hosts.CheckpointHighWatermarks()
	}
	switch err := b.logs.Close(); {
	case errors.Is(err, storage.ErrDirOffline):
		// That was logged when it happened, and is nothing the end of a broker fails for.
		b.log.Warn("a log directory could not be closed cleanly; the next start recovers it", zap.Error(err))
	case err != nil:
		return fmt.Errorf("close the logs: %w", err)
	}
	return nil
}

// checkSupported refuses settings that this version cannot honour, rather than serve without what they promise.
func (b *Broker) checkSupported() error {
	cfg := b.dynamic.Current()
	if err := listenersSupported(cfg); err != nil {
		return err
	}
	if cfg.Auth.AuthorizerClass != "" {
		return fmt.Errorf("authorizer.class.name=%s: this version has no authorizer yet, and will not run open instead", cfg.Auth.AuthorizerClass)
	}
	return nil
}

// identify settles cluster and broker id between ZooKeeper, the log directories and the configuration.
func (b *Broker) identify(ctx context.Context) error {
	z := b.life.store()
	if err := b.life.checkMigration(ctx); err != nil {
		return err
	}
	if err := z.EnsurePersistentPaths(ctx); err != nil {
		return fmt.Errorf("prepare ZooKeeper: %w", err)
	}
	id, err := z.ClusterID(ctx)
	if err != nil {
		return fmt.Errorf("read the cluster id: %w", err)
	}
	b.clusterID = id
	cfg := b.dynamic.Current()
	own, found, err := storage.ReadMetaProperties(vfs.OS{}, cfg.Log.Dirs)
	if err != nil {
		return err
	}
	if found && own.ClusterID != "" && own.ClusterID != id {
		return fmt.Errorf("the log directories belong to cluster %s, but zookeeper.connect=%s leads to cluster %s: check zookeeper.connect and log.dirs",
			own.ClusterID, cfg.ZooKeeper.Connect, id)
	}
	return b.settleID(ctx, meta.BrokerID(cfg.Broker.ID), own, found)
}

func (b *Broker) settleID(ctx context.Context, configured meta.BrokerID, own storage.MetaProperties, found bool) error {
	stored := meta.NoBroker
	if found {
		stored = own.BrokerID
	}
	switch {
	case configured >= 0 && stored >= 0 && configured != stored:
		return fmt.Errorf("broker.id=%d, but the log directories belong to broker %d: check broker.id and log.dirs", configured, stored)
	case configured >= 0:
		b.id = configured
	case stored >= 0:
		b.id = stored
	default:
		seq, err := b.life.store().BrokerSequenceID(ctx)
		if err != nil {
			return fmt.Errorf("generate a broker id: %w", err)
		}
		b.id = meta.BrokerID(b.dynamic.Current().Broker.ReservedMaxID + seq)
		b.log.Info("generated a broker id", zap.Int32("broker", int32(b.id)))
	}
	return nil
}

// openLogs reads the dynamic configuration, opens and recovers the logs.
func (b *Broker) openLogs(ctx context.Context) error {
	z := b.life.store()
	if err := b.applyBrokerConfigs(ctx, z); err != nil {
		return err
	}
	b.throttles = newThrottles(b.id, b.dynamic.Current())
	b.throttles.subscribe(b.dynamic)
	b.throttles.registerMetrics(b)
	b.topics = newTopicConfigs(b.dynamic, b.throttles, b.o.Logging.Logger("config"))
	if err := b.topics.load(ctx, z); err != nil {
		return err
	}
	cfg := b.dynamic.Current()
	logs, err := storage.OpenManager(ctx, b.storageOptions(cfg))
	if err != nil {
		return err
	}
	b.logs = logs
	return logs.WriteMetaProperties(b.id, b.clusterID)
}

func (b *Broker) storageOptions(cfg *config.Config) storage.ManagerOptions {
	soonest := func(d time.Duration) time.Duration { return cmp.Or(d, time.Nanosecond) } // 0 would be storage's default
	return storage.ManagerOptions{
		Dirs: cfg.Log.Dirs, TopicConfig: b.topics.logConfig, Cleaner: cleanerConfig(cfg), FS: vfs.OS{},
		Logger: b.o.Logging.Logger("storage"), Metrics: b.o.Metrics,
		RecoveryThreads: int(cfg.Log.RecoveryThreadsPerDataDir), OnDirFailure: b.dirFailed,
		InitialDelay:                      soonest(cfg.Log.InitialTaskDelay),
		FlushCheckInterval:                cfg.Log.FlushSchedulerInterval,
		FlushCheckpointInterval:           cfg.Log.FlushOffsetCheckpointInterval,
		StartOffsetCheckpointInterval:     cfg.Log.FlushStartOffsetCheckpointInterval,
		RetentionCheckInterval:            cfg.Log.RetentionCheckInterval,
		DirDeleteDelay:                    soonest(cfg.Log.SegmentDeleteDelay),
		StrayDeleteDelay:                  soonest(cfg.Log.StrayDeleteDelay),
		ProducerIDExpiration:              cfg.Log.ProducerIDExpiration,
		ProducerIDExpirationCheckInterval: cfg.Log.ProducerIDExpirationCheckInterval,
		VerifyTransactions:                cfg.Txn.PartitionVerificationEnable,
		NoTopicIDs:                        cfg.Broker.InterBrokerProtocol < config.V2_8_IV0,
	}
}

// dirFailed is told by storage, possibly under its locks: everything is done elsewhere. Storage has logged why.
func (b *Broker) dirFailed(dir string, _ error) {
	go func() { // ends by itself: one write to ZooKeeper, bounded
		if b.hosts != nil {
			b.hosts.DirFailed(dir)
		}
		b.life.publishDirFailure()
	}()
}

// build wires the parts.
func (b *Broker) build(ctx context.Context) error {
	cfg := b.dynamic.Current()
	control := controlListener(cfg)
	protocol, err := controller.ParseProtocol(cfg.Broker.InterBrokerProtocolVersion)
	if err != nil {
		return err
	}
	b.meta = metadata.NewCache()
	b.peers = peer.New(peer.Options{ClientID: strconv.Itoa(int(b.id)), Listener: control,
		RequestTimeout: cfg.Controller.SocketTimeout, ConnectTimeout: cfg.Socket.ConnectionSetupTimeout,
		ConnectTimeoutMax: cfg.Socket.ConnectionSetupTimeoutMax, Logger: zap.NewNop()}) // the controller says whom it cannot reach
	b.asks = peer.New(peer.Options{ClientID: strconv.Itoa(int(b.id)), Listener: control,
		RequestTimeout: cfg.Broker.RequestTimeout, ConnectTimeout: cfg.Socket.ConnectionSetupTimeout,
		ConnectTimeoutMax: cfg.Socket.ConnectionSetupTimeoutMax, Logger: b.o.Logging.Logger("peer")})
	b.ctl = controller.New(controller.Options{BrokerID: b.id, Sender: b.peers, MayAct: b.life.mayLead, Logger: b.o.Logging.Logger("controller"),
		Metrics: b.o.Metrics, Config: controller.Config{
			Protocol: protocol, InterBrokerListener: cfg.InterBrokerListener, DeleteTopicEnable: cfg.Topics.DeleteEnable,
			AutoLeaderRebalanceEnable:          cfg.Controller.AutoLeaderRebalanceEnable,
			LeaderImbalanceCheckInterval:       cfg.Controller.LeaderImbalanceCheckInterval,
			LeaderImbalancePerBrokerPercentage: int(cfg.Controller.LeaderImbalancePerBrokerPercentage),
			UncleanLeaderElectionEnable:        func() bool { return b.dynamic.Current().Defaults.UncleanLeaderElectionEnable },
		}})
	b.link = newControllerLink(b)
	b.coords = newCoordinators(b)
	b.hosts = replica.New(replica.Options{BrokerID: b.id, Logs: b.logs, Metadata: b.meta, Proposer: b.link, OnRoles: b.coords.rolesChanged,
		Logger: b.o.Logging.Logger("replica"), Metrics: b.o.Metrics, Config: replicaConfig(cfg), Follow: b.follow, MayLead: b.life.mayLead,
		LeaderQuota: b.throttles.leader, FollowerQuota: b.throttles.follower, MoveQuota: b.throttles.moves})
	b.txns = newTxnLink(b)
	txns, verifier := b.newTxns(b.txns)
	b.verify, b.coords.topics[txnTopic].runtime = verifier, txns
	handler := api.New(api.Deps{
		BrokerID: b.id, ClusterID: b.clusterID, Config: b.dynamic, Replicas: b.hosts, LogDirs: b.logs, Metadata: b.meta,
		Sessions:   fetchsession.NewCache(fetchsession.Options{Slots: int(cfg.Fetch.SessionCacheSlots), Metrics: b.o.Metrics}),
		Znodes:     func() api.Znodes { return b.life.store() },
		Controller: b.ctl, Topics: topicLearner{b.topics, b}, IDs: b.link, Placement: b.coords, Groups: b.coords.coordinateGroups(), Txns: txns, Verifier: verifier,
		FeatureEpoch: b.life.features.known.Load, Loggers: b.o.Logging, Logger: b.o.Logging.Logger("api"), Metrics: b.o.Metrics,
	})
	b.coords.make, b.txns.local = b.coords.makeBy(handler), handler
	b.rates = quota.NewConnections(int(cfg.Quota.Client.Num), cfg.Quota.Client.Size, connectionRates(cfg))
	b.server = transport.New(b.transportOptions(cfg, handler))
	b.gauge("kafka_server_metadataloader_currentcontrollerid", "The active controller's broker id as far as this broker knows, -1 if it does not.",
		func() float64 { return float64(b.ctl.ControllerID()) })
	b.subscribe()
	return nil
}

// rackAwareSelector is the only replica.selector.class there is here besides none.
const rackAwareSelector = "org.apache.kafka.common.replica.RackAwareReplicaSelector"

func (b *Broker) transportOptions(cfg *config.Config, handler transport.Handler) transport.Options {
	o := transport.Options{
		Handler: handler, Limits: b.limits(cfg), RequestMaxBytes: int(cfg.Socket.RequestMaxBytes), MaxIdle: cfg.Socket.ConnectionsMaxIdle,
		SendBuffer: int(cfg.Socket.SendBufferBytes), ReceiveBuffer: int(cfg.Socket.ReceiveBufferBytes), Backlog: int(cfg.Socket.ListenBacklogSize),
		QueuedMaxBytes: cfg.Socket.QueuedMaxRequestBytes, Rate: b.rates, Logger: b.o.Logging.Logger("network"), Metrics: b.o.Metrics,
	}
	o.Listeners = transportListeners(cfg)
	return o
}

// HTTPAddr is where /metrics and /healthz are served, nil if nowhere. To be asked once Ready was called.
func (b *Broker) HTTPAddr() net.Addr {
	if b.http.listener == nil {
		return nil
	}
	return b.http.listener.Addr()
}

// ID is the broker's id, once Ready was called.
func (b *Broker) ID() meta.BrokerID { return b.id }

// BrokerEpoch is the epoch of the last registration.
func (b *Broker) BrokerEpoch() meta.BrokerEpoch { return b.hosts.BrokerEpoch() }

// SessionID is the ZooKeeper session the broker lives in, or lived in last.
func (b *Broker) SessionID() int64 { return b.life.current.Load().session.ID() }
