package groups

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/tools/client"
)

const (
	parseException         = "java.text.ParseException"
	dateTimeParseException = "java.time.format.DateTimeParseException"
)

// parseDateTime reads YYYY-MM-DDTHH:mm:SS.sss with a zone behind it or without, which means UTC (Utils.getDateTime).
func parseDateTime(text string) (time.Time, error) {
	parts := strings.Split(text, "T")
	if len(parts) < 2 {
		return time.Time{}, &client.Error{Class: parseException, Message: "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.000", "2006-01-02T15:04:05.000Z07", "2006-01-02T15:04:05.000Z0700", "2006-01-02T15:04:05.000Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, &client.Error{Class: parseException, Message: `Unparseable date: "` + text + `"`}
}

// isoDuration is PnDTnHnMn.nS; each part may be missing or negative.
var isoDuration = regexp.MustCompile(`^([-+]?)[Pp](?:([-+]?[0-9]+)[Dd])?([Tt](?:([-+]?[0-9]+)[Hh])?(?:([-+]?[0-9]+)[Mm])?(?:([-+]?[0-9]+)(?:[.,]([0-9]{0,9}))?[Ss])?)?$`)

// parseDuration reads an ISO-8601 duration as java.time.Duration does.
func parseDuration(text string) (time.Duration, error) {
	invalid := &client.Error{Class: dateTimeParseException, Message: "Text cannot be parsed to a Duration"}
	m := isoDuration.FindStringSubmatch(text)
	if m == nil || strings.EqualFold(m[3], "T") || m[2] == "" && m[3] == "" {
		return 0, invalid
	}
	total := 0.0
	for i, unit := range map[int]time.Duration{2: 24 * time.Hour, 4: time.Hour, 5: time.Minute, 6: time.Second} {
		if m[i] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i], 10, 64)
		if err != nil {
			return 0, invalid
		}
		total += float64(n) * float64(unit)
	}
	if m[7] != "" {
		fraction, _ := strconv.ParseFloat("0."+m[7], 64)
		if strings.HasPrefix(m[6], "-") {
			fraction = -fraction
		}
		total += fraction * float64(time.Second)
	}
	if m[1] == "-" {
		total = -total
	}
	if math.Abs(total) >= math.MaxInt64 {
		return 0, invalid
	}
	return time.Duration(total), nil
}
