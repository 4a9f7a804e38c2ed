package groups

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kraal-mq/kraal/tools/client"
	"github.com/kraal-mq/kraal/tools/option"
	"github.com/kraal-mq/kraal/zkstore/meta"
)

// source is what log lines of this tool name as their logger.
const source = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"

// plan is what offsets are to become, by group.
type plan map[string]map[meta.TopicPartition]int64

func (t *tool) reset() error {
	groups, err := t.chosen()
	if err != nil {
		return runtime(err)
	}
	p := plan{}
	for _, group := range groups {
		d, err := t.describeGroup(group)
		if err != nil {
			return runtimeExecution(err)
		}
		if d.state != "Empty" && d.state != "Dead" {
			fmt.Fprintf(t.App.Writer, "\nError: Assignments can only be reset if the group '%s' is inactive, but the current state is %s.\n", group, d.state)
			continue
		}
		offsets, err := t.newOffsets(group, len(groups) == 1)
		if err != nil {
			return err
		}
		if t.Bool("execute") {
			if err := t.commit(group, offsets); err != nil {
				return runtimeExecution(err)
			}
		}
		p[group] = offsets
	}
	if t.Bool("export") {
		fmt.Fprintln(t.App.Writer, csvOf(p, len(t.StringSlice("group")) == 1))
		return nil
	}
	fmt.Fprint(t.App.Writer, p.table())
	return nil
}

func (p plan) table() string {
	const format = "%-30s %-30s %-10s %-15s\n"
	var b strings.Builder
	b.WriteByte('\n')
	fmt.Fprintf(&b, format, "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	for _, group := range slices.Sorted(maps.Keys(p)) {
		for _, tp := range slices.SortedFunc(maps.Keys(p[group]), meta.TopicPartition.Compare) {
			fmt.Fprintf(&b, format, group, tp.Topic, strconv.Itoa(int(tp.Partition)), strconv.FormatInt(p[group][tp], 10))
		}
	}
	return b.String()
}

// newOffsets is what a group's offsets are to become.
func (t *tool) newOffsets(group string, alone bool) (map[meta.TopicPartition]int64, error) {
	if t.IsSet("from-file") {
		return t.fromFile(group, alone)
	}
	committed, err := t.committed(group)
	if err != nil {
		return nil, runtimeExecution(err)
	}
	var partitions []meta.TopicPartition
	if t.Bool("all-topics") {
		partitions = slices.SortedFunc(maps.Keys(committed), meta.TopicPartition.Compare)
	} else if partitions, err = t.partitionsOf(t.StringSlice("topic")); err != nil {
		return nil, wrapped(err)
	}
	offsets, err := t.strategy(partitions, committed)
	return offsets, wrapped(err)
}

// wrapped is err in a RuntimeException, unless it is one that is printed as it is.
func wrapped(err error) error {
	e := new(client.Error)
	if err == nil || !errors.As(err, &e) || e.Class == dateTimeParseException || e.Class == option.BadValue {
		return err
	}
	return runtime(err)
}

func (t *tool) strategy(partitions []meta.TopicPartition, committed map[meta.TopicPartition]int64) (map[meta.TopicPartition]int64, error) {
	switch {
	case t.Bool("to-earliest"):
		return t.endings(partitions, earliest)
	case t.Bool("to-latest"):
		return t.endings(partitions, latest)
	case t.IsSet("to-offset"):
		offset, err := long("to-offset", t.String("to-offset"))
		if err != nil {
			return nil, err
		}
		return t.clamp(partitions, func(meta.TopicPartition) (int64, error) { return offset, nil })
	case t.IsSet("shift-by"):
		by, err := long("shift-by", t.String("shift-by"))
		if err != nil {
			return nil, err
		}
		return t.clamp(partitions, func(tp meta.TopicPartition) (int64, error) {
			now, has := committed[tp]
			if !has {
				return 0, &usageError{fmt.Sprintf("Cannot shift offset for partition %s since there is no current committed offset", tp)}
			}
			return now + by, nil
		})
	case t.IsSet("to-datetime"):
		at, err := parseDateTime(t.String("to-datetime"))
		if err != nil {
			return nil, err
		}
		return t.at(partitions, at)
	case t.IsSet("by-duration"):
		ago, err := parseDuration(t.String("by-duration"))
		if err != nil {
			return nil, err
		}
		return t.at(partitions, time.Now().Add(-ago))
	}
	return t.current(partitions, committed)
}

// clamp keeps offsets within what the logs hold.
func (t *tool) clamp(partitions []meta.TopicPartition, wanted func(meta.TopicPartition) (int64, error)) (map[meta.TopicPartition]int64, error) {
	offsets := map[meta.TopicPartition]int64{}
	for _, tp := range partitions {
		offset, err := wanted(tp)
		if err != nil {
			return nil, err
		}
		offsets[tp] = offset
	}
	first, err := t.endings(partitions, earliest)
	if err != nil {
		return nil, err
	}
	last, err := t.endings(partitions, latest)
	if err != nil {
		return nil, err
	}
	for _, tp := range partitions {
		switch offset := offsets[tp]; {
		case offset < first[tp]:
			t.warn("New offset (%d) is lower than earliest offset for topic partition %s. Value will be set to %d", offset, tp, first[tp])
			offsets[tp] = first[tp]
		case offset > last[tp]:
			t.warn("New offset (%d) is higher than latest offset for topic partition %s. Value will be set to %d", offset, tp, last[tp])
			offsets[tp] = last[tp]
		}
	}
	return offsets, nil
}

func (t *tool) warn(format string, args ...any) {
	option.Log(t.App.ErrWriter, "WARN", source, fmt.Sprintf(format, args...))
}

// at is the first offset at or after a time, or the end where there is none.
func (t *tool) at(partitions []meta.TopicPartition, when time.Time) (map[meta.TopicPartition]int64, error) {
	found, err := t.endings(partitions, when.UnixMilli())
	if err != nil {
		return nil, err
	}
	var none []meta.TopicPartition
	for _, tp := range partitions {
		if _, ok := found[tp]; !ok {
			none = append(none, tp)
			fmt.Fprintf(t.App.Writer, "\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", tp.Partition, tp.Topic)
		}
	}
	ends, err := t.endings(none, latest)
	maps.Copy(found, ends)
	return found, err
}

// current is the committed offset, or the end where there is none.
func (t *tool) current(partitions []meta.TopicPartition, committed map[meta.TopicPartition]int64) (map[meta.TopicPartition]int64, error) {
	offsets := map[meta.TopicPartition]int64{}
	var none []meta.TopicPartition
	for _, tp := range partitions {
		if offset, has := committed[tp]; has {
			offsets[tp] = offset
		} else {
			none = append(none, tp)
		}
	}
	ends, err := t.endings(none, latest)
	maps.Copy(offsets, ends)
	return offsets, err
}

// maxFile bounds what --from-file is read.
const maxFile = 64 << 20

func (t *tool) fromFile(group string, alone bool) (map[meta.TopicPartition]int64, error) {
	name := t.String("from-file")
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, unreadable(name, err)
	}
	p, err := parseCSV(string(content), group, alone)
	if err != nil {
		return nil, runtime(err)
	}
	wanted := p[group]
	return t.clamp(slices.SortedFunc(maps.Keys(wanted), meta.TopicPartition.Compare), func(tp meta.TopicPartition) (int64, error) { return wanted[tp], nil })
}

func unreadable(name string, err error) error {
	e := &client.Error{Class: "java.io.IOException", Message: "Unable to read file " + name}
	if errors.Is(err, fs.ErrNotExist) {
		e.Cause = &client.Error{Class: client.NoSuchFile, Message: name}
	}
	return runtime(e)
}

// long reads an option's value as joptsimple does.
func long(name, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		cause := &client.Error{Class: "java.lang.NumberFormatException", Message: `For input string: "` + text + `"`}
		return 0, &client.Error{Class: option.BadValue, Message: "Cannot parse argument '" + text + "' of option " + name,
			Cause: &client.Error{Class: "joptsimple.internal.ReflectionException", Message: client.Describe(cause), Cause: cause}}
	}
	return n, nil
}

func numbers(list string) ([]int32, error) {
	var all []int32
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no partition", text)
		}
		all = append(all, int32(n))
	}
	return all, nil
}
