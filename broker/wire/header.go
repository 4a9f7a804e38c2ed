package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	controlledShutdownKey = 7
	apiVersionsKey        = 18
)

var (
	// ErrMalformed means that bytes are not the message they claim to be.
	ErrMalformed = errors.New("malformed message")

	// ErrUnknownKey means that there is no API of that key, or that kmsg does not know it in that version.
	ErrUnknownKey = errors.New("unknown api key or version")
)

// Header is the header of a request.
type Header struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string // a null client id is read as ""
}

// RequestHeaderVersion returns 0, 1 or 2: how the header of a request is laid out (RequestHeader.json).
// flexible is whether the request's version is flexible (KIP-482).
func RequestHeaderVersion(key, version int16, flexible bool) int {
	switch {
	case key == controlledShutdownKey && version == 0:
		return 0
	case flexible:
		return 2
	}
	return 1
}

// ResponseHeaderVersion returns 0 or 1. ApiVersions stays at 0, so that a client can read the answer to a version
// which the broker does not know (KIP-511).
func ResponseHeaderVersion(key int16, flexible bool) int {
	if flexible && key != apiVersionsKey {
		return 1
	}
	return 0
}

// DecodeHeader reads the header of a request frame and returns what follows it. It serves every key kmsg knows, and
// ApiVersions in every version, known or not. lastClientID, if the frame's client id equals it, is used in its place
// so that a connection's requests share one string.
func DecodeHeader(frame []byte, lastClientID string) (h Header, body []byte, err error) {
	if len(frame) < 8 {
		return Header{}, nil, fmt.Errorf("%w: request header of %d bytes", ErrMalformed, len(frame))
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	flexible, known := requestFlexible(h.Key, h.Version)
	if !known {
		return h, nil, fmt.Errorf("%w: key %d version %d", ErrUnknownKey, h.Key, h.Version)
	}
	r := reader{src: frame[8:]}
	version := RequestHeaderVersion(h.Key, h.Version, flexible)
	if version >= 1 {
		if n := int(r.int16()); n >= 0 {
			id := r.span(n)
			if h.ClientID = lastClientID; string(id) != lastClientID {
				h.ClientID = string(id)
			}
		} else if n < -1 {
			r.fail()
		}
	}
	if version >= 2 {
		r.skipTags()
	}
	if r.bad {
		return h, nil, fmt.Errorf("%w: header of key %d version %d", ErrMalformed, h.Key, h.Version)
	}
	return h, r.src, nil
}

// DecodeRequest decodes a whole request frame. The []byte fields of the request alias the frame; strings do not.
// Bytes behind a complete request are ignored, as Kafka ignores them.
func DecodeRequest(frame []byte) (Header, kmsg.Request, error) {
	h, body, err := DecodeHeader(frame, "")
	if err != nil {
		return h, nil, err
	}
	req, err := DecodeRequestBody(h, body)
	return h, req, err
}

// DecodeRequestBody decodes what [DecodeHeader] left. An ApiVersions request of an unknown version is ErrUnknownKey
// like any other: answering it is the caller's business.
func DecodeRequestBody(h Header, body []byte) (kmsg.Request, error) {
	req := kmsg.RequestForKey(h.Key)
	if req == nil || h.Version < 0 || h.Version > req.MaxVersion() {
		return nil, fmt.Errorf("%w: key %d version %d", ErrUnknownKey, h.Key, h.Version)
	}
	body = kmsgLayout(h, body)
	if err := checkRequest(h.Key, h.Version, body); err != nil {
		return nil, err
	}
	req.SetVersion(h.Version)
	if err := req.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: key %d version %d: %w", ErrMalformed, h.Key, h.Version, err)
	}
	return req, nil
}

// AppendRequest appends a request frame, size prefix included, in the version the request is set to.
func AppendRequest(dst []byte, req kmsg.Request, correlationID int32, clientID string) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	header := RequestHeaderVersion(req.Key(), req.GetVersion(), req.IsFlexible())
	if header >= 1 {
		clientID = clientID[:min(len(clientID), math.MaxInt16)]
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(clientID)))
		dst = append(dst, clientID...)
	}
	if header >= 2 {
		dst = append(dst, 0)
	}
	body := len(dst)
	dst = req.AppendTo(dst)
	if stop, ok := req.(*kmsg.StopReplicaRequest); ok {
		kafkaLayout(stop, dst[body:])
	}
	putSize(dst[start:], len(dst)-start)
	return dst
}

// A Body is the content of a response: every kmsg.Response is one, and so is [*FetchResponse].
// Its version decides how it is encoded.
type Body interface {
	Key() int16
	GetVersion() int16
	IsFlexible() bool
	AppendTo(dst []byte) []byte
}

// AppendResponse appends a response frame, size prefix included.
func AppendResponse(dst []byte, body Body, correlationID int32) []byte {
	start := len(dst)
	dst = appendResponseHeader(dst, body, correlationID)
	dst = body.AppendTo(dst)
	putSize(dst[start:], len(dst)-start)
	return dst
}

// appendResponseHeader appends room for the size prefix, and the header.
func appendResponseHeader(dst []byte, body Body, correlationID int32) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if ResponseHeaderVersion(body.Key(), body.IsFlexible()) == 1 {
		dst = append(dst, 0)
	}
	return dst
}

// putSize writes the size prefix of a frame that is total bytes long, prefix included.
func putSize(frame []byte, total int) { binary.BigEndian.PutUint32(frame, uint32(total-sizePrefix)) }

// CorrelationID returns the correlation id of a response frame.
func CorrelationID(frame []byte) (int32, error) {
	if len(frame) < 4 {
		return 0, fmt.Errorf("%w: response header of %d bytes", ErrMalformed, len(frame))
	}
	return int32(binary.BigEndian.Uint32(frame)), nil
}

// DecodeResponse decodes a response frame, the answer to req. The []byte fields of the response alias the frame.
func DecodeResponse(frame []byte, req kmsg.Request) (kmsg.Response, error) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	r := reader{src: frame}
	r.span(4)
	if ResponseHeaderVersion(req.Key(), resp.IsFlexible()) == 1 {
		r.skipTags()
	}
	if r.bad {
		return nil, fmt.Errorf("%w: response header of key %d version %d", ErrMalformed, req.Key(), req.GetVersion())
	}
	if err := checkResponse(req.Key(), req.GetVersion(), r.src); err != nil {
		return nil, err
	}
	if err := resp.ReadFrom(r.src); err != nil {
		return nil, fmt.Errorf("%w: response of key %d version %d: %w", ErrMalformed, req.Key(), req.GetVersion(), err)
	}
	return resp, nil
}
