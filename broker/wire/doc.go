// Package wire turns bytes into kmsg messages and back.
//
//	frame          := size int32, payload
//	request  v0    := api_key int16, api_version int16, correlation_id int32      ControlledShutdown v0 only
//	request  v1    := v0 + client_id nullable string                             non-flexible versions
//	request  v2    := v1 + tagged fields (client_id keeps its int16 length)      flexible versions
//	response v0    := correlation_id int32                                       non-flexible, and ApiVersions always
//	response v1    := correlation_id int32, tagged fields                        flexible versions
//
// A frame is read into a pooled [Buffer] whose size class covers it, straight from the socket and without zeroing.
// The []byte fields of a decoded request alias that buffer: they live until [Buffer.Free]. Strings are copies.
//
// kmsg trusts what it reads in two ways a broker cannot afford: an array may claim as many elements as there are
// bytes left, whatever an element costs in memory, and a count of tagged fields is not checked at all. So every
// message passes a walk over its schema first (check.go), which refuses what does not fit into the bytes that are
// there or would cost far more memory than the frame has bytes; only then does kmsg decode it.
//
// Fetch responses are encoded by hand (fetchresponse.go): the bytes between the record sets are built in memory, and
// the record sets are [Section]s that transport sends from the file.
//
// The package knows neither which versions this broker serves (broker/api) nor sockets (broker/transport).
// It starts no goroutine and holds no lock; the buffer pools are the only package state.
package wire
