// Package metadata is this broker's picture of the fleet, as the controller's UpdateMetadata requests draw it.
//
// A [Snapshot] is immutable: whoever loads one may look things up in it for as long as they like, without a lock, and
// sees one consistent state. [Cache] holds the current one behind an atomic pointer; [Cache.Apply] makes the next one
// out of it, sharing all that did not change, so that news about one partition of twenty thousand costs little.
//
// What Metadata responses say to whom is broker/api's business.
package metadata
