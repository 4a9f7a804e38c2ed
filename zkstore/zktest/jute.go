package zktest

import (
	"encoding/binary"
	"strconv"
)

// Operations of ZooKeeper's protocol that write.
const (
	opCreate       = 1
	opDelete       = 2
	opSetData      = 5
	opCheck        = 13
	opMulti        = 14
	opCloseSession = -11
	opError        = -1 // only in the answer to a multi
)

const statSize = 68

// errorNames are ZooKeeper's error codes; what is missing here is named by its number.
var errorNames = map[int32]string{0: "OK", -2: "RUNTIMEINCONSISTENCY", -101: "NONODE", -102: "NOAUTH", -103: "BADVERSION",
	-108: "NOCHILDRENFOREPHEMERALS", -110: "NODEEXISTS", -111: "NOTEMPTY", -112: "SESSIONEXPIRED"}

func errorName(code int32) string {
	if name, ok := errorNames[code]; ok {
		return name
	}
	return strconv.Itoa(int(code))
}

// jute reads ZooKeeper's encoding of requests and answers that are known to be well formed.
type jute struct{ b []byte }

func (d *jute) int32() int32 {
	n := int32(binary.BigEndian.Uint32(d.b))
	d.b = d.b[4:]
	return n
}

func (d *jute) bool() bool {
	v := d.b[0] != 0
	d.b = d.b[1:]
	return v
}

func (d *jute) buffer() *string {
	n := d.int32()
	if n < 0 {
		return nil
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return &s
}

// parseWrite decodes a request {int32 xid, int32 op, ...}; ok is false for what writes nothing.
func parseWrite(b []byte) (xid int32, w Write, ok bool) {
	if len(b) < 8 {
		return 0, w, false
	}
	d := jute{b: b}
	xid = d.int32()
	switch op := d.int32(); op {
	case opCloseSession:
		return xid, Write{Op: "closeSession"}, true
	case opMulti:
		w.Op = "multi"
		for {
			op, done := d.int32(), d.bool()
			d.int32() // an error, of use in answers only
			if done {
				return xid, w, true
			}
			one, _ := d.write(op)
			w.Ops = append(w.Ops, one)
		}
	default:
		w, ok = d.write(op)
		return xid, w, ok
	}
}

func (d *jute) write(op int32) (w Write, ok bool) {
	switch op {
	case opCreate:
		w = Write{Op: "create", Path: *d.buffer(), Data: d.buffer()}
		for range d.int32() {
			perms, scheme, id := d.int32(), *d.buffer(), *d.buffer()
			text := scheme + ":" + id + ":"
			for i, letter := range "rwcda" {
				if perms&(1<<i) != 0 {
					text += string(letter)
				}
			}
			w.ACL = append(w.ACL, text)
		}
		w.Mode = []string{"PERSISTENT", "EPHEMERAL", "PERSISTENT_SEQUENTIAL", "EPHEMERAL_SEQUENTIAL"}[d.int32()]
		return w, true
	case opDelete:
		w = Write{Op: "delete", Path: *d.buffer()}
	case opSetData:
		w = Write{Op: "setData", Path: *d.buffer(), Data: d.buffer()}
	case opCheck:
		w = Write{Op: "check", Path: *d.buffer()}
	default:
		return w, false
	}
	v := d.int32()
	w.Version = &v
	return w, true
}

const replyHeader = 16 // int32 xid, int64 zxid, int32 error

// parseReply reads an answer's header; watch events and pings have xids that no write has.
func parseReply(b []byte) (xid int32, err string) {
	if len(b) < replyHeader {
		return 0, ""
	}
	return int32(binary.BigEndian.Uint32(b)), errorName(int32(binary.BigEndian.Uint32(b[12:])))
}

// answered takes up the outcome. A multi that fails is OK as a whole and has an error for each operation.
func (w *Write) answered(err string, reply []byte) {
	w.Err = err
	if err != "OK" {
		return
	}
	d := jute{b: reply[replyHeader:]}
	for i := range w.Ops {
		op, _, _ := d.int32(), d.bool(), d.int32()
		w.Ops[i].Err = "OK"
		switch op {
		case opError:
			w.Ops[i].Err = errorName(d.int32())
		case opCreate:
			d.buffer()
		case opSetData:
			d.b = d.b[statSize:]
		}
	}
}
