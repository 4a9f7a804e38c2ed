// Package zkstore is the fleet's memory: every znode kraal reads or writes, typed, in Apache Kafka's layout and to the
// byte in its encoding, so that either can take over the other's tree. It knows nobody above it and is the only package
// that talks to ZooKeeper. What znodes mean is decided elsewhere.
//
// # The tree
//
// Written by: every broker at its start (*), one broker for itself (B), the active controller (C), any broker (A),
// tools and old clients (T). Watched: by whom this package's Watch methods are for.
//
//	/brokers/ids/<id>                            B  JSON v5, ephemeral   controller: children, data of each
//	/brokers/seqid                               A  its version counts generated broker ids
//	/brokers/topics/<t>                          A  JSON v3              controller: children, data of each
//	/brokers/topics/<t>/partitions/<p>/state     C  JSON v1; its version is the partition epoch
//	/controller                                  C  JSON v2, ephemeral   every broker: data
//	/controller_epoch                            C  decimal; its version is what a Fence checks
//	/cluster/id                                  *  JSON v"1"
//	/feature                                     C  JSON v2              every broker: data
//	/admin/delete_topics/<t>                     A  no data; C removes   controller: children
//	/admin/reassign_partitions                   T  JSON v1; C rewrites  controller: data
//	/admin/preferred_replica_election            T  JSON v1; C removes   controller: data
//	/config/<type>/<entity>                      A  JSON v1
//	/config/changes/config_change_<n>            A  JSON v2              every broker: children (Follower)
//	/isr_change_notification/isr_change_<n>      B  JSON v1; C removes   controller: children
//	/log_dir_event_notification/log_dir_event_<n> B JSON v1; C removes   controller: children
//	/latest_producer_id_block                    C  JSON v1, no data at first
//	/kafka-acl/<Type>/<name>                     A  JSON v1; conditional on its version
//	/kafka-acl-extended/prefixed/<Type>/<name>   A  JSON v1; conditional on its version
//	/kafka-acl-changes/acl_changes_<n>           A  TYPE:name            every broker: children (Follower)
//	/kafka-acl-extended-changes/acl_changes_<n>  A  JSON v1              every broker: children (Follower)
//	/delegation_token/tokens/<id>                A  JSON v3
//	/delegation_token/token_changes/token_change_<n> A the id            every broker: children (Follower)
//	/consumers/<group>/ids/<member>              B  JSON v1, ephemeral: who is in a group
//	/consumers/<group>/owners/<t>/<p>            B  member id and stream, ephemeral
//	/consumers/<group>/offsets/<t>/<p>           A  decimal; a group's coordinator behind its Fence, T, and A for version 0
//	/consumers/<group>/kraal/<t>/<p>             A  JSON v1: what the decimal has no room for
//	/migration                                   -  JSON v0, by a KRaft controller; read only
//
// Parents are znodes without data, which is not the same as with no bytes, here as in Kafka. What is no name for a znode, as
// group ids with a slash, is written with %XX for the bytes that are in the way.
//
// # Reading and writing
//
// Every call takes a context and repeats itself over lost connections until it knows what happened. After a lost answer a
// write is judged by what is there: the version it would have left, with its data, means it was done. What cannot be
// settled before the context or the session ends is [ErrUnknownOutcome]. A write that is made again after it was done
// is only ever one that says the same twice: a config, an offset, a change notice.
//
// Many znodes are read 128 to a request and written 64 to a transaction. Each keeps its own outcome: a znode that cannot
// be read is an [UnreadableError] naming it, next to the others' contents.
//
// Committed offsets are gathered by their writer: one multi has many, of many groups, behind the fences of all coordinators
// concerned, and is done as a whole or not at all.
//
// What a role alone may do takes a [Fence] and fails with [ErrFenced] once the role has passed on.
//
// # Sessions
//
// A [Session] ends for good when ZooKeeper expires it; its owner resigns what it held and connects anew. The library
// left alone would open another session under the same connection. A lost connection ends nothing: watches are set
// again by the library, and [Watch] signals mean "read again", which setting them twice does not harm.
//
// Goroutines: the library's three of a connection, one that sends, one that waits for the end, and one per request
// under way; a pipeline has as many as requests may be unanswered. Session.Close waits for all. Locks: Session.mu,
// registry.mu and dialer.mu are leaves, and so are wireConn's but that out may be taken under own.
package zkstore
