package config

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

// DescribeTopic describes a topic from its stored overrides: every topic key, or those of keys if it is not empty.
// Entries are in the order of their names.
func (d *Dynamic) DescribeTopic(overrides map[string]string, keys []string) []Entry {
	panic("declared")
}

// DescribeBroker describes this broker: every key that is not internal, and whatever else is set.
func (d *Dynamic) DescribeBroker(keys []string) []Entry { panic("declared") }

// DescribeClusterDefault describes the cluster-wide dynamic defaults: what is set there and nothing else.
func (d *Dynamic) DescribeClusterDefault(keys []string) []Entry { panic("declared") }

// DescribeLoggers describes log levels by logger name.
func DescribeLoggers(levels map[string]string, keys []string) []Entry { panic("declared") }
