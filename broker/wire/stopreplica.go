package wire

import "github.com/twmb/franz-go/pkg/kmsg"

// Version 4 of StopReplica (KIP-866) has IsKRaftController between the controller's id and its epoch
// (StopReplicaRequest.json); kmsg has it behind the epoch, and would read another epoch out of the bytes.
const (
	kraftFlagSince = 4 // version
	kraftFlagAt    = 4 // offset in the body
	epochEnd       = 9 // the controller epoch follows the flag
)

// kmsgLayout moves the fields of a request body to where kmsg looks for them. It may return a copy; body stays as it is.
func kmsgLayout(h Header, body []byte) []byte {
	if h.Key != int16(kmsg.StopReplica) || h.Version < kraftFlagSince || len(body) < epochEnd {
		return body
	}
	moved := append(make([]byte, 0, len(body)), body...)
	copy(moved[kraftFlagAt:], body[kraftFlagAt+1:epochEnd])
	moved[epochEnd-1] = body[kraftFlagAt]
	return moved
}

// kafkaLayout is the inverse, in place, on what kmsg encoded.
func kafkaLayout(req *kmsg.StopReplicaRequest, body []byte) {
	if req.Version < kraftFlagSince {
		return
	}
	flag := body[epochEnd-1]
	copy(body[kraftFlagAt+1:epochEnd], body[kraftFlagAt:])
	body[kraftFlagAt] = flag
}
