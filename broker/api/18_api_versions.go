package api

import (
	"context"
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/transport"
	"github.com/kraal-mq/kraal/broker/wire"
)

// ApiVersions, versions 0 to 4.
//
//	1 throttle time
//	3 flexible; the client's software name and version (KIP-511)
//	4 entries whose lowest version is 0 for features (none here)
//
// There are no features in ZooKeeper mode, only the epoch of their absence.
//
// A version we do not serve is answered in version 0 with the range we do, so that the client can ask again.

// software is what a client's name and version must look like (ApiVersionsRequest.java).
var software = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

func apiVersions(h *Handler, _ context.Context, r *transport.Request) transport.Reply {
	resp := kmsg.NewPtrApiVersionsResponse()
	if r.UnsupportedVersion {
		e := h.entries[r.Header.Key]
		resp.ErrorCode = int16(wire.ErrUnsupportedVersion)
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: e.key, MinVersion: e.lowest, MaxVersion: e.highest}}
		return transport.Reply{Body: resp}
	}
	req, ok := r.Body.(*kmsg.ApiVersionsRequest)
	if !ok {
		return transport.Reply{Close: true}
	}
	resp.Version = req.Version
	if req.Version >= 3 {
		if !software.MatchString(req.ClientSoftwareName) || !software.MatchString(req.ClientSoftwareVersion) {
			resp.ErrorCode = int16(wire.ErrInvalidRequest)
			return transport.Reply{Body: resp}
		}
		r.Conn.SetClientSoftware(req.ClientSoftwareName, req.ClientSoftwareVersion)
	}
	resp.FinalizedFeaturesEpoch = h.FeatureEpoch()
	resp.ApiKeys = make([]kmsg.ApiVersionsResponseApiKey, len(h.served))
	for i, e := range h.served {
		resp.ApiKeys[i] = kmsg.ApiVersionsResponseApiKey{ApiKey: e.key, MinVersion: e.lowest, MaxVersion: e.highest}
	}
	return transport.Reply{Body: resp}
}
