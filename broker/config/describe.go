package config

import (
	"maps"
	"slices"
)

// Entry is one line of a DescribeConfigs answer.
type Entry struct {
	Name          string
	Value         *string // nil: unset, or hidden because Sensitive
	Source        Source
	Type          Type
	ReadOnly      bool
	Sensitive     bool
	Synonyms      []Synonym // highest first, the effective one included
	Documentation string
}

// Synonym is one of the values an entry has somewhere, under its own name or another.
type Synonym struct {
	Name   string
	Value  *string
	Source Source
}

// Source says at which level a value was found. The numbers are those of the protocol.
type Source int8

const (
	SourceUnknown              Source = 0
	SourceDynamicTopic         Source = 1
	SourceDynamicBroker        Source = 2
	SourceDynamicDefaultBroker Source = 3
	SourceStaticBroker         Source = 4
	SourceDefault              Source = 5
	SourceDynamicBrokerLogger  Source = 6
)

// DescribeTopic describes a topic from its stored overrides: every topic key and whatever else is stored, or those of
// keys if it is not empty. Entries are in the order of their names.
func (d *Dynamic) DescribeTopic(overrides map[string]string, keys []string) []Entry {
	s := d.current.Load()
	values, _ := s.config.topicValues(overrides) // what cannot be used shows by its absence
	names := append(slices.Collect(maps.Keys(overrides)), topicTable().names...)
	return describe(names, keys, func(name string) Entry { return d.topicEntry(s, name, values, overrides) })
}

func (d *Dynamic) topicEntry(s *snapshot, name string, values map[string]any, overrides map[string]string) Entry {
	k, known := topicTable().lookup(name)
	e := Entry{Name: name, Type: k.Type, Sensitive: !known || k.Sensitive(), Documentation: k.Doc, Source: SourceDefault}
	if _, ok := overrides[name]; ok {
		e.Synonyms = append(e.Synonyms, Synonym{Name: name, Value: visible(format(values[name]), e.Sensitive), Source: SourceDynamicTopic})
	}
	if len(k.Broker) > 0 {
		e.Synonyms = append(e.Synonyms, d.synonyms(s, k.Broker[0], e.Sensitive)...)
	}
	if v := values[name]; v != nil {
		e.Value = visible(format(v), e.Sensitive)
	}
	if len(e.Synonyms) > 0 {
		e.Source = e.Synonyms[0].Source
	}
	return e
}

// DescribeBroker describes this broker: every key that is not internal, and whatever else is set.
func (d *Dynamic) DescribeBroker(keys []string) []Entry {
	s := d.current.Load()
	names := slices.Collect(maps.Keys(s.config.props))
	for name := range d.static.file {
		names = append(names, name)
	}
	for _, k := range BrokerKeys() {
		if !k.Internal {
			names = append(names, k.Name)
		}
	}
	return describe(names, keys, func(name string) Entry {
		e := brokerEntry(name)
		if v, ok := s.config.values[name]; ok && v != nil {
			e.Value = visible(format(v), e.Sensitive)
		} else if text, ok := s.config.props[name]; ok {
			e.Value = visible(text, e.Sensitive)
		} else if text, ok := d.static.file[name]; ok {
			e.Value = visible(text, e.Sensitive)
		}
		e.Synonyms = d.synonyms(s, name, e.Sensitive)
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		return e
	})
}

// DescribeClusterDefault describes the cluster-wide dynamic defaults: what is set there and nothing else.
func (d *Dynamic) DescribeClusterDefault(keys []string) []Entry {
	s := d.current.Load()
	set := s.levels[ClusterDefault]
	return describe(slices.Collect(maps.Keys(set)), keys, func(name string) Entry {
		e := brokerEntry(name)
		e.Value = visible(set[name], e.Sensitive)
		for _, y := range d.synonyms(s, name, e.Sensitive) {
			if y.Source == SourceDynamicDefaultBroker {
				e.Synonyms = append(e.Synonyms, y)
			}
		}
		if len(e.Synonyms) > 0 {
			e.Source = e.Synonyms[0].Source
		}
		return e
	})
}

// DescribeLoggers describes log levels by logger name.
func DescribeLoggers(levels map[string]string, keys []string) []Entry {
	return describe(slices.Collect(maps.Keys(levels)), keys, func(name string) Entry {
		level := levels[name]
		return Entry{Name: name, Value: &level, Source: SourceDynamicBrokerLogger}
	})
}

// describe makes the entries of the names wanted, each once and in order.
func describe(names, wanted []string, entry func(name string) Entry) []Entry {
	slices.Sort(names)
	entries := make([]Entry, 0, len(names))
	for _, name := range slices.Compact(names) {
		if len(wanted) == 0 || slices.Contains(wanted, name) {
			entries = append(entries, entry(name))
		}
	}
	return entries
}

// brokerEntry is what is known of a name without its value. A name nobody knows may hold a secret.
func brokerEntry(name string) Entry {
	e := Entry{Name: name, Source: SourceDefault, ReadOnly: true, Sensitive: true}
	if k, ok := lookupBroker(name); ok {
		e.Type, e.Sensitive = k.Type, k.Sensitive()
	}
	// A listener form has type and secrecy of the key it stands for, but counts as read-only and undocumented.
	if k, ok := brokerTable().lookup(name); ok {
		e.ReadOnly, e.Documentation = !k.dynamic(), k.Doc
	} else if k, ok := dynamicTable().lookup(name); ok {
		e.ReadOnly, e.Documentation = false, k.Doc
	}
	return e
}

// synonyms lists where a broker key has a value, level by level from the top, and in each the stronger name first
// (ConfigHelper.configSynonyms). What comes before the first entry of the very name is left out, so that the weaker
// names of a setting do not appear as its source.
func (d *Dynamic) synonyms(s *snapshot, name string, sensitive bool) []Synonym {
	var list []Synonym
	names := synonyms(name)
	add := func(get func(name string) (string, bool), source Source) {
		for _, n := range names {
			if text, ok := get(n); ok {
				list = append(list, Synonym{Name: n, Value: visible(text, sensitive), Source: source})
			}
		}
	}
	in := func(m map[string]string) func(string) (string, bool) {
		return func(n string) (string, bool) { v, ok := m[n]; return v, ok }
	}
	add(in(s.levels[PerBroker]), SourceDynamicBroker)
	add(in(s.levels[ClusterDefault]), SourceDynamicDefaultBroker)
	add(in(d.static.file), SourceStaticBroker)
	add(builtIn, SourceDefault)
	first := slices.IndexFunc(list, func(y Synonym) bool { return y.Name == name })
	if first < 0 {
		return nil
	}
	return list[first:]
}

// builtIn is the lowest level.
func builtIn(name string) (string, bool) {
	k, ok := brokerTable().lookup(name)
	if !ok || k.Default == nil {
		return "", false
	}
	return format(k.Default), true
}

func visible(text string, sensitive bool) *string {
	if sensitive {
		return nil
	}
	return &text
}
