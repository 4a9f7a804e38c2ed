package broker_test

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// questionHeader splits a request frame. ok is false for frames that are broken on purpose.
func questionHeader(b []byte) (key, version int16, body int, ok bool) {
	if len(b) < 8 {
		return 0, 0, 0, false
	}
	key, version = int16(binary.BigEndian.Uint16(b)), int16(binary.BigEndian.Uint16(b[2:]))
	if key == 7 && version == 0 { // ControlledShutdown's first version has no client id
		return key, version, 8, true
	}
	if len(b) < 10 {
		return 0, 0, 0, false
	}
	body = 10 + max(0, int(int16(binary.BigEndian.Uint16(b[8:]))))
	r := kmsg.RequestForKey(key)
	if r == nil || version < 0 || version > r.MaxVersion() {
		return key, version, body, false
	}
	r.SetVersion(version)
	if r.IsFlexible() {
		body++ // no recorded program sends tagged fields
	}
	return key, version, body, body <= len(b)
}

// decodeQuestion is nil for what cannot be decoded.
func decodeQuestion(b []byte) kmsg.Request {
	key, version, body, ok := questionHeader(b)
	if !ok {
		return nil
	}
	r := kmsg.RequestForKey(key)
	r.SetVersion(version)
	if r.ReadFrom(b[body:]) != nil {
		return nil
	}
	return r
}

// reencode puts another body behind a frame's header.
func reencode(frame []byte, req kmsg.Request) []byte {
	_, _, body, _ := questionHeader(frame)
	return req.AppendTo(frame[:body:body])
}

// decodeAnswer is nil for what cannot be decoded.
func decodeAnswer(key, version int16, b []byte) kmsg.Response {
	r := kmsg.ResponseForKey(key)
	if r == nil || len(b) < 4 {
		return nil
	}
	const unsupportedVersion = 35 // is answered in version 0 of ApiVersions
	if key == 18 && len(b) >= 6 && binary.BigEndian.Uint16(b[4:]) == unsupportedVersion {
		version = 0
	}
	r.SetVersion(version)
	body := answerHeader(r)
	if len(b) < body || r.ReadFrom(b[body:]) != nil {
		return nil
	}
	return r
}

// answerHeader is the length of a response's header.
func answerHeader(r kmsg.Response) int {
	if r.IsFlexible() && r.Key() != 18 {
		return 5
	}
	return 4
}

// appendAnswer encodes a response behind the correlation id of frame.
func appendAnswer(frame []byte, r kmsg.Response) []byte {
	header := append(make([]byte, 0, len(frame)), frame[:4]...)
	if answerHeader(r) == 5 {
		header = append(header, 0)
	}
	return r.AppendTo(header)
}
