package perf

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress counts what was read and prints the consumer's rows.
type progress struct {
	out      io.Writer
	format   string // of times, Go's layout
	start    time.Time
	bytes    int64
	messages int64

	joining time.Duration // until partitions were assigned, all rounds
	round   time.Duration // the same, of this interval

	reported struct { // by the last row of an interval
		at              time.Time
		bytes, messages int64
	}
}

func header(out io.Writer, detailed bool) {
	first := "start.time, end.time"
	if detailed {
		first = "time, threadId"
	}
	fmt.Fprintln(out, first+", data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec")
}

// endInterval starts the next interval; detailed says to print the row of this one.
func (p *progress) endInterval(now time.Time, detailed bool) {
	r := &p.reported
	if detailed {
		elapsed := now.Sub(r.at)
		fetching := elapsed - p.round
		read, count := float64(p.bytes-r.bytes)/megabyte, float64(p.messages-r.messages)
		fetchRead, fetchCount := 0.0, 0.0
		if fetching.Milliseconds() > 0 {
			fetchRead, fetchCount = read/seconds(fetching), count/seconds(fetching)
		}
		fmt.Fprintf(p.out, "%s, %d, %.4f, %.4f, %d, %.4f, %d, %d, %.4f, %.4f\n", p.time(now), 0, float64(p.bytes)/megabyte, read/seconds(elapsed),
			p.messages, count/seconds(elapsed), p.round.Milliseconds(), fetching.Milliseconds(), fetchRead, fetchCount)
	}
	p.round = 0
	r.at, r.bytes, r.messages = now, p.bytes, p.messages
}

// total prints the only row there is without details.
func (p *progress) total(end time.Time) {
	elapsed := end.Sub(p.start)
	fetching := elapsed - p.joining
	read := float64(p.bytes) / megabyte
	fmt.Fprintf(p.out, "%s, %s, %.4f, %.4f, %d, %.4f, %d, %d, %.4f, %.4f\n", p.time(p.start), p.time(end), read, read/seconds(elapsed), p.messages,
		float64(p.messages)/seconds(elapsed), p.joining.Milliseconds(), fetching.Milliseconds(), read/seconds(fetching), float64(p.messages)/seconds(fetching))
}

// seconds counts whole milliseconds, as the rows show them, but never none.
func seconds(d time.Duration) float64 { return float64(max(d.Milliseconds(), 1)) / 1000 }

func (p *progress) time(t time.Time) string {
	// Go's layouts want milliseconds behind a dot or comma.
	return strings.ReplaceAll(t.Format(p.format), "\x00", fmt.Sprintf("%03d", t.Nanosecond()/int(time.Millisecond)))
}

// layout turns a pattern of java.text.SimpleDateFormat into Go's; letters it does not know stay as they are.
func layout(pattern string) string {
	symbols := strings.NewReplacer("yyyy", "2006", "yy", "06", "MMMM", "January", "MMM", "Jan", "MM", "01", "dd", "02", "HH", "15", "hh", "03",
		"mm", "04", "ss", "05", "SSS", "\x00", "EEEE", "Monday", "EEE", "Mon", "a", "PM", "XXX", "Z07:00", "Z", "-0700", "z", "MST")
	var b strings.Builder
	for i, part := range strings.Split(pattern, "'") { // every other part is quoted
		switch {
		case i%2 == 0:
			b.WriteString(symbols.Replace(part))
		case part == "":
			b.WriteByte('\'')
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}
