package broker_test

import (
	"bytes"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberIDs are ids of group members that the broker made up, by those recorded. Both end in a random UUID and have the same length, so
// one can be put in the other's place in a frame.
type memberIDs map[string]string

func (m memberIDs) learn(want, got kmsg.Response) {
	if w, ok := want.(*kmsg.JoinGroupResponse); ok {
		if g := got.(*kmsg.JoinGroupResponse); w.MemberID != g.MemberID && len(w.MemberID) == len(g.MemberID) {
			m[w.MemberID] = g.MemberID
		}
	}
}

// own puts the broker's ids in the place of recorded ones.
func (m memberIDs) own(frame []byte) []byte {
	for recorded, own := range m {
		frame = bytes.ReplaceAll(frame, []byte(recorded), []byte(own))
	}
	return frame
}

// recorded is the opposite of own.
func (m memberIDs) recorded(frame []byte) []byte {
	for recorded, own := range m {
		frame = bytes.ReplaceAll(frame, []byte(own), []byte(recorded))
	}
	return frame
}

// parkedExchange is one whose answer comes only after later requests of other connections.
type parkedExchange struct {
	e    *exchange
	conn *goldenConn
}

// park sends the request of such an exchange.
func (p *replay) park(e *exchange) {
	c := p.conn(e.Conn, e.To)
	if _, end := c.exchange(p.members.own(e.Request), false); end != answered {
		p.t.Fatalf("%v: %v", e, end)
	}
	p.parked = append(p.parked, parkedExchange{e, c})
}

// unpark reads and compares what came of parked exchanges.
func (p *replay) unpark() {
	for _, parked := range p.parked {
		answer, end := parked.conn.answer()
		if end != answered {
			p.t.Errorf("%v: %v", parked.e, end)
			continue
		}
		for _, d := range p.compare(parked.e, answer) {
			p.t.Errorf("%v: %s: Kafka %s, kraal %s", parked.e, d.path, d.want, d.got)
		}
	}
	p.parked = nil
}

func waitsForOthers(e *exchange) bool { return strings.HasSuffix(e.Case, "waits for the rebalance") }
