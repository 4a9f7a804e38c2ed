package transport

import (
	"encoding/binary"
	"time"

	"github.com/kraal-mq/kraal/broker/wire"
)

// pending is an answer on its way out: of a request, or the bytes an authenticator has to say.
type pending struct {
	reply   Reply
	request *Request
	buf     *wire.Buffer // the request's, freed when the answer is dealt with
	raw     []byte
}

// answer sends an answer, after all those before it. If the answer has to be waited for, or others are still being
// waited for, that is left to reply; answer then returns once reply has room for another.
func (c *Conn) answer(p pending) error {
	if p.reply.Wait == nil && c.unsent.Load() == 0 {
		return c.settle(p)
	}
	if c.replies == nil {
		c.replies = make(chan pending, c.srv.o.MaxInFlight)
		c.room = make(chan struct{}, 1)
		c.replyDone.Go(c.replyLoop)
	}
	c.unsent.Add(1)
	c.mute(p.reply.Throttle)
	c.replies <- p
	if p.reply.Close && p.reply.Wait == nil {
		return errEnd
	}
	for int(c.unsent.Load()) >= c.srv.o.MaxInFlight {
		<-c.room
	}
	return nil
}

// replyLoop is the reply goroutine. After an error, or an answer behind which nothing more is to be sent, it closes
// the connection, which is how serve learns of it, and goes on only to let go of what the answers hold.
func (c *Conn) replyLoop() {
	for p := range c.replies {
		if err := c.settle(p); err != nil {
			c.abort()
		}
		c.unsent.Add(-1)
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
}

// settle waits for an answer if need be, writes it, and lets go of everything it holds. The connection must not be
// used any more after an error.
func (c *Conn) settle(p pending) error {
	if p.raw != nil {
		return c.writeRaw(p.raw)
	}
	defer c.free(p.buf)
	reply := p.reply
	if reply.Wait != nil {
		c.busy.Add(1)
		reply = reply.Wait(c.ctx)
		c.busy.Add(-1)
	}
	c.mute(reply.Throttle)
	start := time.Now()
	var sent int
	var err error
	if reply.Body != nil && !reply.None {
		sent, err = c.write(reply.Body, p.request.Header.CorrelationID)
	}
	if reply.Done != nil {
		reply.Done(sent, time.Since(start))
	}
	if err == nil && reply.Close {
		err = errEnd
	}
	return err
}

// write sends a response as one frame.
func (c *Conn) write(body wire.Body, correlationID int32) (sent int, err error) {
	pieces := c.srv.pieces.Get().(*wire.Pieces)
	if err = pieces.Encode(body, correlationID); err == nil {
		err = c.send(pieces)
	}
	size := pieces.Size()
	pieces.Reset()
	c.srv.pieces.Put(pieces)
	if err != nil {
		return 0, err
	}
	c.sentBytes(size)
	return size, nil
}

// writeRaw sends bytes as one frame.
func (c *Conn) writeRaw(payload []byte) error {
	frame := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(payload)), uint32(len(payload))), payload...)
	if _, err := c.stream.Write(frame); err != nil {
		return err
	}
	c.sentBytes(len(frame))
	return nil
}

func (c *Conn) sentBytes(n int) {
	c.lastActive.Store(time.Now().UnixNano())
	c.listener.metrics.sent.Add(float64(n))
}
