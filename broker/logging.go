package broker

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kraal-mq/kraal/broker/config"
)

// Logging makes the broker's loggers, one for each part, whose levels can be changed while it runs (KIP-412).
// A logger without a level of its own has the root's.
type Logging struct {
	encoder zapcore.Encoder
	out     zapcore.WriteSyncer

	mu struct {
		sync.Mutex
		root   zapcore.Level
		levels map[string]*loggerLevel
	}
}

// loggerLevel is one logger's level. It implements [zapcore.LevelEnabler].
type loggerLevel struct {
	zap.AtomicLevel
	own bool // set by somebody, not the root's; guarded by Logging.mu
}

// NewLogging writes to out, as lines for people ("console") or as JSON ("json"), from level on.
func NewLogging(out io.Writer, format, level string) (*Logging, error) {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime, c.EncodeDuration = zapcore.ISO8601TimeEncoder, encodeDuration
	l := &Logging{out: zapcore.Lock(zapcore.AddSync(out))}
	switch format {
	case "console":
		c.EncodeLevel = zapcore.CapitalLevelEncoder
		l.encoder = zapcore.NewConsoleEncoder(c)
	case "json":
		l.encoder = zapcore.NewJSONEncoder(c)
	default:
		return nil, fmt.Errorf("log format %q is neither console nor json", format)
	}
	root, err := parseLevel(level)
	if err != nil {
		return nil, err
	}
	l.mu.root = root
	l.mu.levels = make(map[string]*loggerLevel)
	return l, nil
}

// encodeDuration writes a duration with three digits, which is all that anybody reads.
func encodeDuration(d time.Duration, e zapcore.PrimitiveArrayEncoder) {
	unit := time.Duration(1)
	for d/unit >= 1000 || d/unit <= -1000 {
		unit *= 10
	}
	e.AppendString(d.Round(unit).String())
}

// Logger returns the logger of that name.
func (l *Logging) Logger(name string) *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	level := l.mu.levels[name]
	if level == nil {
		level = &loggerLevel{AtomicLevel: zap.NewAtomicLevelAt(l.mu.root)}
		l.mu.levels[name] = level
	}
	return zap.New(zapcore.NewCore(l.encoder, l.out, level)).Named(name)
}

// Levels implements api.Loggers.
func (l *Logging) Levels() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]string{config.RootLogger: levelName(l.mu.root)}
	for name, level := range l.mu.levels {
		out[name] = levelName(level.Level())
	}
	return out
}

// SetLevel implements api.Loggers.
func (l *Logging) SetLevel(logger, level string) error {
	to, err := parseLevel(level)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if logger == config.RootLogger {
		l.mu.root = to
		for _, other := range l.mu.levels {
			if !other.own {
				other.SetLevel(to)
			}
		}
		return nil
	}
	known := l.mu.levels[logger]
	if known == nil {
		return fmt.Errorf("no logger %q", logger)
	}
	known.own = true
	known.SetLevel(to)
	return nil
}

// UnsetLevel implements api.Loggers: the logger has the root's level again.
func (l *Logging) UnsetLevel(logger string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.mu.levels[logger]
	if known == nil {
		return fmt.Errorf("no logger %q", logger)
	}
	known.own = false
	known.SetLevel(l.mu.root)
	return nil
}

// offLevel is above everything that is logged.
const offLevel = zapcore.FatalLevel + 1

// parseLevel understands log4j's level names. Zap has no TRACE; DEBUG is the most it says.
func parseLevel(name string) (zapcore.Level, error) {
	switch strings.ToUpper(name) {
	case "TRACE", "DEBUG", "ALL":
		return zapcore.DebugLevel, nil
	case "INFO":
		return zapcore.InfoLevel, nil
	case "WARN":
		return zapcore.WarnLevel, nil
	case "ERROR":
		return zapcore.ErrorLevel, nil
	case "FATAL":
		return zapcore.FatalLevel, nil
	case "OFF":
		return offLevel, nil
	}
	return 0, fmt.Errorf("no log level %q", name)
}

func levelName(l zapcore.Level) string {
	if l == offLevel {
		return "OFF"
	}
	return l.CapitalString()
}
