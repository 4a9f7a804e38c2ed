package produce

import (
	"io"
	"os"
	"os/signal"
	"syscall"
)

// onTerminal says whether a stream is a terminal: a character device that is not the null device.
func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// signalError ends the input on SIGINT and SIGTERM, so that what was read before is still sent.
type signalError struct{ signal syscall.Signal }

func (e *signalError) Error() string { return e.signal.String() }
func (e *signalError) code() int     { return 128 + int(e.signal) }

// interruptible passes reads on until a signal comes. The read that is waiting then stays behind in its goroutine; the
// process is about to end. stop gives the signals back.
func interruptible(in io.Reader) (out io.Reader, stop func()) {
	r := &signalReader{in: in, want: make(chan []byte), got: make(chan read, 1), signals: make(chan os.Signal, 1)}
	signal.Notify(r.signals, syscall.SIGINT, syscall.SIGTERM)
	go r.run()
	return r, func() {
		signal.Stop(r.signals)
		close(r.want)
	}
}

type read struct {
	n   int
	err error
}

// signalReader reads in a goroutine of its own, into a buffer of its own.
type signalReader struct {
	in io.Reader
	// want asks for a read, got answers: Read and run exchange one buffer at a time. Read's side closes want when it needs
	// no more. Nobody may take the last answer, hence its capacity of 1.
	want chan []byte
	got  chan read
	// signals is filled by the runtime; one is enough.
	signals chan os.Signal
}

func (r *signalReader) run() {
	for buf := range r.want {
		n, err := r.in.Read(buf)
		r.got <- read{n, err}
	}
}

func (r *signalReader) Read(b []byte) (int, error) {
	r.want <- b
	select {
	case s := <-r.signals:
		return 0, &signalError{s.(syscall.Signal)}
	case read := <-r.got:
		return read.n, read.err
	}
}
