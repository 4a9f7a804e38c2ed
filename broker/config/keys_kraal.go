package config

// keysKraal: what Kafka has no key for. They are described only where they are set, so that tools which compare brokers of a
// mixed fleet see the same keys on both kinds.
func keysKraal() []Key {
	return []Key{
		{Name: "kraal.http.listen", Type: String, Default: "", Status: Core, Importance: Medium, Internal: true,
			Doc: "host:port to serve /metrics and /healthz on. Empty: no HTTP."},
		{Name: "kraal.http.pprof", Type: Boolean, Default: false, Status: Core, Importance: Low, Internal: true,
			Doc: "Serve Go's profiles below /debug/pprof/ as well. Whoever reaches the port can then read memory contents and load the broker."},
		{Name: "kraal.log.format", Type: String, Default: "console", valid: oneOf("console", "json"), Status: Core, Importance: Low, Internal: true,
			Doc: "Log lines for people (console) or for machines (json)."},
		{Name: "kraal.log.level", Type: String, Default: "INFO", valid: oneOf("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF"), Status: Core, Importance: Low, Internal: true,
			Doc: "Level of the root logger at start. Levels can be changed while the broker runs, as broker loggers."},
		{Name: "offsets.storage", Type: String, Default: "zookeeper", valid: oneOf("zookeeper", "kafka"), Status: Core, Importance: High, Internal: true,
			Doc: "Where committed offsets of consumer groups are kept: in ZooKeeper below /consumers, or in __consumer_offsets as Apache Kafka does. " +
				"All brokers of a fleet must agree, and a fleet that has brokers of Apache Kafka must use kafka."},
		{Name: "dual.commit.enabled", Type: Boolean, Default: false, Status: Core, Importance: Medium, Internal: true,
			Doc: "Commit offsets to both, ZooKeeper and __consumer_offsets. offsets.storage says which has the last word."},
		{Name: "kraal.stray.delete.delay.ms", Type: Long, Default: int64(7 * 24 * 60 * 60 * 1000), valid: atLeast(-1), Status: Core, Importance: Medium, Internal: true,
			Doc: "How long replicas are kept that turn out not to belong here any more when the broker comes back: their topics were deleted, or they " +
				"were moved to other brokers, while it was away. They are out of service and renamed to -stray. -1: for ever, as Apache Kafka does."},
		{Name: "kraal.zookeeper.jaas.config", Type: Password, Status: Full, Importance: Medium, Internal: true,
			Doc: "How to log in to ZooKeeper: org.apache.zookeeper.server.auth.DigestLoginModule required username=\"..\" password=\"..\"; Unset: as the section Client of the file says that KAFKA_OPTS names with -Djava.security.auth.login.config."},
	}
}
