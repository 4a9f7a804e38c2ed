package config

import "time"

// Config is a broker's effective configuration at one moment: plain values, ready to use. It is immutable; a dynamic
// update makes a new one. The tag on a field names the key it is read from; fields without a tag are derived from
// several keys. Durations too long for time.Duration are cut to its maximum, about 292 years.
type Config struct {
	Broker    Broker
	ZooKeeper ZooKeeper

	// Listeners are the sockets to open, in the order of the file; Advertised is what to register for others to use
	// (hosts may be empty there too: then the machine's own name is meant). Names are upper case and unique.
	Listeners  []Listener
	Advertised []Listener
	// InterBrokerListener is the listener brokers use towards each other; always among Advertised.
	InterBrokerListener string
	// ControlPlaneListener carries controller requests when set; empty: they use the inter-broker listener.
	ControlPlaneListener string

	Socket     Socket
	Threads    Threads
	Log        Log
	Cleaner    Cleaner
	Replica    Replica
	Topics     Topics
	Controller Controller
	Shutdown   Shutdown
	Group      Group
	Offsets    Offsets
	Txn        Txn
	Quota      Quota
	Fetch      Fetch
	Auth       Auth
	Tokens     Tokens
	Metrics    Metrics
	HTTP       HTTP
	Logging    Logging

	// Defaults is the configuration of a topic without overrides.
	Defaults TopicConfig

	listeners map[string]ListenerConfig // by upper-case name
	base      ListenerConfig            // what a listener without overrides has
	topics    map[string]any            // typed broker-level value of every topic key
	values    map[string]any            // typed value of every broker key
	props     map[string]string         // the merged text everything above was read from
}

// Listener is one NAME://host:port of listeners or advertised.listeners.
type Listener struct {
	Name     string // upper case
	Protocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
	Host     string // without brackets; empty: all interfaces, or, advertised, the machine's own name
	Port     int32
}

// ListenerConfig is what may differ from listener to listener (prefix listener.name.<name>.).
type ListenerConfig struct {
	NumNetworkThreads         int32 `key:"num.network.threads"`
	MaxConnections            int32 `key:"max.connections"`              // of this listener alone, besides the cap on all
	MaxConnectionCreationRate int32 `key:"max.connection.creation.rate"` // of this listener alone, besides the cap on all
	SSL                       SSL
	SASL                      SASL
}

// Broker is who this broker is.
type Broker struct {
	ID                         int32   // broker.id or node.id; -1: take it from meta.properties, else generate one
	IDGenerationEnable         bool    `key:"broker.id.generation.enable"`
	ReservedMaxID              int32   `key:"reserved.broker.max.id"`
	Rack                       string  `key:"broker.rack"`                   // empty: none
	InterBrokerProtocolVersion string  `key:"inter.broker.protocol.version"` // as written in the file, for instance "3.9"
	InterBrokerProtocol        Version // the same, resolved and comparable
	// RequestTimeout bounds the requests this broker sends.
	RequestTimeout time.Duration `key:"request.timeout.ms"`
}

// ZooKeeper is how to reach the ensemble.
type ZooKeeper struct {
	Connect             string        `key:"zookeeper.connect"`
	ConnectionTimeout   time.Duration // zookeeper.connection.timeout.ms, else the session timeout
	SessionTimeout      time.Duration `key:"zookeeper.session.timeout.ms"`
	MaxInFlightRequests int32         `key:"zookeeper.max.in.flight.requests"`
	SetACL              bool          `key:"zookeeper.set.acl"`
	JAASConfig          string        `key:"kraal.zookeeper.jaas.config"` // empty: not in the properties
	SSL                 ZooKeeperSSL
}

// ZooKeeperSSL is TLS towards ZooKeeper.
type ZooKeeperSSL struct {
	ClientEnable                    bool     `key:"zookeeper.ssl.client.enable"`
	CipherSuites                    []string `key:"zookeeper.ssl.cipher.suites"`
	CRLEnable                       bool     `key:"zookeeper.ssl.crl.enable"`
	EnabledProtocols                []string `key:"zookeeper.ssl.enabled.protocols"`
	EndpointIdentificationAlgorithm string   `key:"zookeeper.ssl.endpoint.identification.algorithm"`
	KeystoreLocation                string   `key:"zookeeper.ssl.keystore.location"`
	KeystorePassword                string   `key:"zookeeper.ssl.keystore.password"`
	KeystoreType                    string   `key:"zookeeper.ssl.keystore.type"`
	OCSPEnable                      bool     `key:"zookeeper.ssl.ocsp.enable"`
	Protocol                        string   `key:"zookeeper.ssl.protocol"`
	TruststoreLocation              string   `key:"zookeeper.ssl.truststore.location"`
	TruststorePassword              string   `key:"zookeeper.ssl.truststore.password"`
	TruststoreType                  string   `key:"zookeeper.ssl.truststore.type"`
}

// Socket is about connections to and from this broker.
type Socket struct {
	SendBufferBytes              int32            `key:"socket.send.buffer.bytes"`    // -1: the system's choice
	ReceiveBufferBytes           int32            `key:"socket.receive.buffer.bytes"` // -1: the system's choice
	ListenBacklogSize            int32            `key:"socket.listen.backlog.size"`
	RequestMaxBytes              int32            `key:"socket.request.max.bytes"`
	ConnectionsMaxIdle           time.Duration    `key:"connections.max.idle.ms"` // negative: never
	MaxConnectionsPerIP          int32            `key:"max.connections.per.ip"`
	MaxConnectionsPerIPOverrides map[string]int32 // host or address as written in the file
	MaxConnections               int32            `key:"max.connections"`
	MaxConnectionCreationRate    int32            `key:"max.connection.creation.rate"`
	FailedAuthenticationDelay    time.Duration    `key:"connection.failed.authentication.delay.ms"`
	ConnectionSetupTimeout       time.Duration    `key:"socket.connection.setup.timeout.ms"`
	ConnectionSetupTimeoutMax    time.Duration    `key:"socket.connection.setup.timeout.max.ms"`
	QueuedMaxRequests            int32            `key:"queued.max.requests"`
	QueuedMaxRequestBytes        int64            `key:"queued.max.request.bytes"` // -1: no bound
}

// Threads are Kafka's pool sizes. A goroutine costs little, so here they bound concurrency.
type Threads struct {
	Network    int32 `key:"num.network.threads"`
	IO         int32 `key:"num.io.threads"`
	Background int32 `key:"background.threads"`
}

// Log is about log directories as a whole; what applies to one log is in Config.Defaults.
type Log struct {
	Dirs                               []string      // log.dirs, else log.dir
	RetentionCheckInterval             time.Duration `key:"log.retention.check.interval.ms"`
	FlushSchedulerInterval             time.Duration `key:"log.flush.scheduler.interval.ms"`
	FlushOffsetCheckpointInterval      time.Duration `key:"log.flush.offset.checkpoint.interval.ms"`
	FlushStartOffsetCheckpointInterval time.Duration `key:"log.flush.start.offset.checkpoint.interval.ms"`
	InitialTaskDelay                   time.Duration `key:"log.initial.task.delay.ms"`
	RecoveryThreadsPerDataDir          int32         `key:"num.recovery.threads.per.data.dir"`
	SegmentDeleteDelay                 time.Duration `key:"log.segment.delete.delay.ms"`
	StrayDeleteDelay                   time.Duration `key:"kraal.stray.delete.delay.ms"` // negative: never
	ProducerIDExpiration               time.Duration `key:"producer.id.expiration.ms"`
	ProducerIDExpirationCheckInterval  time.Duration `key:"producer.id.expiration.check.interval.ms"`
	MessageFormatVersion               string        `key:"log.message.format.version"` // ignored from inter-broker protocol 3.0 on
}

// Cleaner is about compaction.
type Cleaner struct {
	Enable              bool          `key:"log.cleaner.enable"`
	Threads             int32         `key:"log.cleaner.threads"`
	Backoff             time.Duration `key:"log.cleaner.backoff.ms"`
	DedupeBufferSize    int64         `key:"log.cleaner.dedupe.buffer.size"`
	IOBufferSize        int32         `key:"log.cleaner.io.buffer.size"`
	IOBufferLoadFactor  float64       `key:"log.cleaner.io.buffer.load.factor"`
	IOMaxBytesPerSecond float64       `key:"log.cleaner.io.max.bytes.per.second"`
	MaxMessageBytes     int32         `key:"message.max.bytes"`
}

// Replica is about following and being followed.
type Replica struct {
	LagTimeMax                      time.Duration `key:"replica.lag.time.max.ms"`
	FetchWaitMax                    time.Duration `key:"replica.fetch.wait.max.ms"`
	FetchMinBytes                   int32         `key:"replica.fetch.min.bytes"`
	FetchMaxBytes                   int32         `key:"replica.fetch.max.bytes"`
	FetchResponseMaxBytes           int32         `key:"replica.fetch.response.max.bytes"`
	FetchBackoff                    time.Duration `key:"replica.fetch.backoff.ms"`
	SocketTimeout                   time.Duration `key:"replica.socket.timeout.ms"`
	SocketReceiveBufferBytes        int32         `key:"replica.socket.receive.buffer.bytes"`
	Fetchers                        int32         `key:"num.replica.fetchers"`
	AlterLogDirsThreads             int32         // num.replica.alter.log.dirs.threads, else one per log directory
	HighWatermarkCheckpointInterval time.Duration `key:"replica.high.watermark.checkpoint.interval.ms"`
	SelectorClass                   string        `key:"replica.selector.class"` // empty: consumers read from the leader
}

// Topics is about making and removing topics.
type Topics struct {
	DefaultReplicationFactor int32 `key:"default.replication.factor"`
	NumPartitions            int32 `key:"num.partitions"`
	AutoCreateEnable         bool  `key:"auto.create.topics.enable"`
	DeleteEnable             bool  `key:"delete.topic.enable"`
}

// Controller is about the role of that name and the requests it sends.
type Controller struct {
	AutoLeaderRebalanceEnable          bool          `key:"auto.leader.rebalance.enable"`
	LeaderImbalanceCheckInterval       time.Duration `key:"leader.imbalance.check.interval.seconds"`
	LeaderImbalancePerBrokerPercentage int32         `key:"leader.imbalance.per.broker.percentage"`
	SocketTimeout                      time.Duration `key:"controller.socket.timeout.ms"`
}

// Shutdown is about leaving politely.
type Shutdown struct {
	ControlledEnable       bool          `key:"controlled.shutdown.enable"`
	ControlledMaxRetries   int32         `key:"controlled.shutdown.max.retries"`
	ControlledRetryBackoff time.Duration `key:"controlled.shutdown.retry.backoff.ms"`
}

// Group is about consumer groups.
type Group struct {
	MinSessionTimeout     time.Duration `key:"group.min.session.timeout.ms"`
	MaxSessionTimeout     time.Duration `key:"group.max.session.timeout.ms"`
	InitialRebalanceDelay time.Duration `key:"group.initial.rebalance.delay.ms"`
	MaxSize               int32         `key:"group.max.size"`
}

// Offsets is about committed offsets and the internal topic that holds group state.
type Offsets struct {
	Storage                string        `key:"offsets.storage"`
	DualCommit             bool          `key:"dual.commit.enabled"`
	MetadataMaxBytes       int32         `key:"offset.metadata.max.bytes"`
	TopicPartitions        int32         `key:"offsets.topic.num.partitions"`
	TopicReplicationFactor int16         `key:"offsets.topic.replication.factor"`
	TopicSegmentBytes      int32         `key:"offsets.topic.segment.bytes"`
	TopicCompressionCodec  int32         `key:"offsets.topic.compression.codec"`
	LoadBufferSize         int32         `key:"offsets.load.buffer.size"`
	Retention              time.Duration `key:"offsets.retention.minutes"`
	RetentionCheckInterval time.Duration `key:"offsets.retention.check.interval.ms"`
	CommitTimeout          time.Duration `key:"offsets.commit.timeout.ms"`
	CommitRequiredAcks     int16         `key:"offsets.commit.required.acks"`
}

// Txn is about the transaction coordinator.
type Txn struct {
	TransactionalIDExpiration    time.Duration `key:"transactional.id.expiration.ms"`
	MaxTimeout                   time.Duration `key:"transaction.max.timeout.ms"`
	TopicPartitions              int32         `key:"transaction.state.log.num.partitions"`
	TopicReplicationFactor       int16         `key:"transaction.state.log.replication.factor"`
	TopicMinISR                  int32         `key:"transaction.state.log.min.isr"`
	TopicSegmentBytes            int32         `key:"transaction.state.log.segment.bytes"`
	LoadBufferSize               int32         `key:"transaction.state.log.load.buffer.size"`
	AbortTimedOutCleanupInterval time.Duration `key:"transaction.abort.timed.out.transaction.cleanup.interval.ms"`
	RemoveExpiredCleanupInterval time.Duration `key:"transaction.remove.expired.transaction.cleanup.interval.ms"`
	PartitionVerificationEnable  bool          `key:"transaction.partition.verification.enable"`
}

// Quota is about measuring windows, and the replication throttles, which exist only as dynamic configs.
type Quota struct {
	Client       QuotaWindow
	Replication  QuotaWindow
	AlterLogDirs QuotaWindow
	Controller   QuotaWindow

	LeaderReplicationThrottledRate   int64 // bytes per second; MaxInt64: none
	FollowerReplicationThrottledRate int64
	AlterLogDirsMaxBytesPerSecond    int64
}

// QuotaWindow is how a rate is measured: Num samples of Size each.
type QuotaWindow struct {
	Num  int32
	Size time.Duration
}

// Fetch is about serving reads.
type Fetch struct {
	MaxBytes          int32 `key:"fetch.max.bytes"`
	SessionCacheSlots int32 `key:"max.incremental.fetch.session.cache.slots"`
}

// Auth is about who may do what.
type Auth struct {
	AuthorizerClass           string   `key:"authorizer.class.name"` // empty: everything is allowed
	SuperUsers                []string // super.users, for instance "User:admin"
	AllowEveryoneIfNoACLFound bool
	ZooKeeper                 ZooKeeper // where ACLs are kept: as for the broker, but for authorizer.zookeeper.*
	SSLPrincipalMappingRules  string    `key:"ssl.principal.mapping.rules"`
	PrincipalToLocalRules     []string  `key:"sasl.kerberos.principal.to.local.rules"`
	SASLServerMaxReceiveSize  int32     `key:"sasl.server.max.receive.size"`
}

// Tokens is about delegation tokens.
type Tokens struct {
	SecretKey           string        // delegation.token.secret.key, else .master.key; empty: disabled
	MaxLifetime         time.Duration `key:"delegation.token.max.lifetime.ms"`
	ExpiryTime          time.Duration `key:"delegation.token.expiry.time.ms"`
	ExpiryCheckInterval time.Duration `key:"delegation.token.expiry.check.interval.ms"`
}

// Metrics is about rates that are not quotas.
type Metrics struct {
	NumSamples     int32         `key:"metrics.num.samples"`
	SampleWindow   time.Duration `key:"metrics.sample.window.ms"`
	RecordingLevel string        `key:"metrics.recording.level"`
}

// HTTP is where metrics and health are served.
type HTTP struct {
	Listen string `key:"kraal.http.listen"` // host:port; empty: nowhere
	Pprof  bool   `key:"kraal.http.pprof"`
}

// Logging is how the broker's log is written.
type Logging struct {
	Format string `key:"kraal.log.format"` // console or json
	Level  string `key:"kraal.log.level"`
}

// SSL is TLS on one listener.
type SSL struct {
	KeystoreLocation                string   `key:"ssl.keystore.location"`
	KeystorePassword                string   `key:"ssl.keystore.password"`
	KeystoreType                    string   `key:"ssl.keystore.type"` // JKS, PKCS12 or PEM
	KeyPassword                     string   `key:"ssl.key.password"`
	KeystoreKey                     string   `key:"ssl.keystore.key"`
	KeystoreCertificateChain        string   `key:"ssl.keystore.certificate.chain"`
	TruststoreLocation              string   `key:"ssl.truststore.location"`
	TruststorePassword              string   `key:"ssl.truststore.password"`
	TruststoreType                  string   `key:"ssl.truststore.type"`
	TruststoreCertificates          string   `key:"ssl.truststore.certificates"`
	ClientAuth                      string   `key:"ssl.client.auth"` // required, requested or none; none on SASL_SSL unless given with the prefix
	Protocol                        string   `key:"ssl.protocol"`
	EnabledProtocols                []string `key:"ssl.enabled.protocols"`
	CipherSuites                    []string `key:"ssl.cipher.suites"`
	EndpointIdentificationAlgorithm string   `key:"ssl.endpoint.identification.algorithm"`
	AllowDNChanges                  bool     `key:"ssl.allow.dn.changes"`
	AllowSANChanges                 bool     `key:"ssl.allow.san.changes"`
}

// SASL is authentication on one listener.
type SASL struct {
	EnabledMechanisms            []string `key:"sasl.enabled.mechanisms"` // upper case as written
	MechanismInterBrokerProtocol string   `key:"sasl.mechanism.inter.broker.protocol"`
	// JAAS is the login module text per mechanism (listener.name.<l>.<mechanism>.sasl.jaas.config); the key is the
	// mechanism in upper case, and "" holds the value given without mechanism, for when this broker is the client.
	JAAS map[string]string
	// ConnectionsMaxReauth is the longest session per mechanism; the key "" is for mechanisms without their own.
	// Zero: no limit.
	ConnectionsMaxReauth map[string]time.Duration
	LoginRefresh         LoginRefresh
	OAuthBearer          OAuthBearer
	Kerberos             Kerberos
}

// LoginRefresh is when a client login is renewed (OAUTHBEARER).
type LoginRefresh struct {
	WindowFactor    float64       `key:"sasl.login.refresh.window.factor"`
	WindowJitter    float64       `key:"sasl.login.refresh.window.jitter"`
	MinPeriod       time.Duration `key:"sasl.login.refresh.min.period.seconds"`
	Buffer          time.Duration `key:"sasl.login.refresh.buffer.seconds"`
	ConnectTimeout  time.Duration `key:"sasl.login.connect.timeout.ms"` // zero: unset
	ReadTimeout     time.Duration `key:"sasl.login.read.timeout.ms"`    // zero: unset
	RetryBackoff    time.Duration `key:"sasl.login.retry.backoff.ms"`
	RetryBackoffMax time.Duration `key:"sasl.login.retry.backoff.max.ms"`
}

// OAuthBearer is how tokens are fetched and checked.
type OAuthBearer struct {
	TokenEndpointURL            string        `key:"sasl.oauthbearer.token.endpoint.url"`
	JWKSEndpointURL             string        `key:"sasl.oauthbearer.jwks.endpoint.url"`
	JWKSEndpointRefresh         time.Duration `key:"sasl.oauthbearer.jwks.endpoint.refresh.ms"`
	JWKSEndpointRetryBackoff    time.Duration `key:"sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"`
	JWKSEndpointRetryBackoffMax time.Duration `key:"sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"`
	ClockSkew                   time.Duration `key:"sasl.oauthbearer.clock.skew.seconds"`
	ExpectedAudience            []string      `key:"sasl.oauthbearer.expected.audience"`
	ExpectedIssuer              string        `key:"sasl.oauthbearer.expected.issuer"`
	ScopeClaimName              string        `key:"sasl.oauthbearer.scope.claim.name"`
	SubClaimName                string        `key:"sasl.oauthbearer.sub.claim.name"`
}

// Kerberos is GSSAPI.
type Kerberos struct {
	ServiceName             string        `key:"sasl.kerberos.service.name"`
	KinitCmd                string        `key:"sasl.kerberos.kinit.cmd"`
	TicketRenewWindowFactor float64       `key:"sasl.kerberos.ticket.renew.window.factor"`
	TicketRenewJitter       float64       `key:"sasl.kerberos.ticket.renew.jitter"`
	MinTimeBeforeRelogin    time.Duration `key:"sasl.kerberos.min.time.before.relogin"`
}

// Listener returns the settings of one listener: its own where it has them, the broker's otherwise.
func (c *Config) Listener(name string) ListenerConfig {
	if l, ok := c.listeners[name]; ok {
		return l
	}
	return c.base
}

// Endpoint returns the named entry of Listeners.
func (c *Config) Endpoint(name string) (Listener, bool) { return find(c.Listeners, name) }

// AdvertisedEndpoint returns the named entry of Advertised.
func (c *Config) AdvertisedEndpoint(name string) (Listener, bool) { return find(c.Advertised, name) }

func find(all []Listener, name string) (Listener, bool) {
	for _, l := range all {
		if l.Name == name {
			return l, true
		}
	}
	return Listener{}, false
}
