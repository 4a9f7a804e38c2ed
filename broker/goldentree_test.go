package broker_test

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicNames knows recorded and own topic ids by name.
type topicNames struct {
	ids  [2]map[string][16]byte // recorded, own
	name [2]map[[16]byte]string
}

func newTopicNames() topicNames {
	var n topicNames
	for i := range n.ids {
		n.ids[i], n.name[i] = map[string][16]byte{}, map[[16]byte]string{}
	}
	return n
}

func side(own bool) int {
	if own {
		return 1
	}
	return 0
}

func (n *topicNames) add(name string, id [16]byte, own bool) {
	if id != [16]byte{} {
		n.ids[side(own)][name], n.name[side(own)][id] = id, name
	}
}

func (n *topicNames) addPtr(name *string, id [16]byte, own bool) {
	if name != nil && *name != "" {
		n.add(*name, id, own)
	}
}

// translate replaces the recorded topic ids in a request by own ones.
func (n *topicNames) translate(req kmsg.Request) bool {
	changed := false
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "UnknownTags" {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Array:
			id, ok := v.Interface().([16]byte)
			if !ok {
				return
			}
			if own, ok := n.ids[1][n.name[0][id]]; ok {
				v.Set(reflect.ValueOf(own))
				changed = true
			}
		}
	}
	walk(reflect.ValueOf(req))
	return changed
}

func (n *topicNames) recorded(r kmsg.Response) tree { return n.tree(r, false) }
func (n *topicNames) own(r kmsg.Response) tree      { return n.tree(r, true) }

// tree is a response as values by path, such as Topics[orders].Partitions[0].ErrorCode.
type tree struct {
	paths  []string
	values map[string]string
}

func (t *tree) put(path, value string) {
	if _, again := t.values[path]; !again {
		t.paths = append(t.paths, path)
	}
	t.values[path] = value
}

func (n *topicNames) tree(r kmsg.Response, own bool) tree {
	b := treeBuilder{tree: tree{values: map[string]string{}}, names: n.name[side(own)]}
	b.add("", reflect.ValueOf(r).Elem())
	return b.tree
}

type treeBuilder struct {
	tree
	names map[[16]byte]string
}

func (b *treeBuilder) add(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			b.put(path, "null")
			return
		}
		b.add(path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && f.Name != "Version" && f.Name != "UnknownTags" {
				b.add(strings.TrimPrefix(path+"."+f.Name, "."), v.Field(i))
			}
		}
		if f := v.FieldByName("UnknownTags"); f.IsValid() {
			if tags := f.Interface().(kmsg.Tags); tags.Len() > 0 {
				b.put(path+".UnknownTags", strconv.Itoa(tags.Len()))
			}
		}
	case reflect.Array:
		b.put(path, b.id(v.Interface().([16]byte)))
	case reflect.Slice:
		b.addSlice(path, v)
	case reflect.String:
		b.put(path, strconv.Quote(v.String()))
	default:
		if v.CanInt() {
			b.put(path, strconv.FormatInt(v.Int(), 10)) // named kmsg types print as names
			return
		}
		b.put(path, fmt.Sprint(v.Interface()))
	}
}

func (b *treeBuilder) id(id [16]byte) string {
	if id == [16]byte{} {
		return "no id"
	}
	if name, ok := b.names[id]; ok {
		return "id of " + name
	}
	return fmt.Sprintf("%x", id)
}

func (b *treeBuilder) addSlice(path string, v reflect.Value) {
	if raw, ok := v.Interface().([]byte); ok {
		if strings.HasSuffix(path, "RecordBatches") {
			b.addRecords(path, raw)
			return
		}
		b.put(path, bytesText(raw))
		return
	}
	if v.IsNil() {
		b.put(path, "null")
		return
	}
	if v.Type().Elem().Kind() != reflect.Struct {
		b.put(path, fmt.Sprint(v.Interface()))
		return
	}
	b.put(path, "a list")
	order := make([]string, v.Len())
	for i := range v.Len() {
		k := b.key(v.Index(i))
		if slices.Contains(order[:i], k) {
			k += "#" + strconv.Itoa(i)
		}
		order[i] = k
		b.add(path+"["+k+"]", v.Index(i))
	}
	sorted := slices.Clone(order)
	slices.Sort(sorted)
	b.put(path+" keys", fmt.Sprint(sorted))
	b.put(path+" order", fmt.Sprint(order))
}

func bytesText(raw []byte) string {
	if raw == nil {
		return "null"
	}
	return fmt.Sprintf("%x", raw)
}

// keyFields are what elements of lists are called by, the first that there is.
var keyFields = []string{"Topic", "TopicID", "Partition", "Name", "ResourceName", "NodeID", "Dir", "ApiKey", "ProducerID", "RelativeOffset", "Group", "MemberID"}

func (b *treeBuilder) key(v reflect.Value) string {
	for _, name := range keyFields {
		f := v.FieldByName(name)
		if !f.IsValid() || f.IsZero() && name == "Topic" {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if id, ok := f.Interface().([16]byte); ok {
			if id == [16]byte{} {
				continue
			}
			return b.id(id)
		}
		return fmt.Sprint(f.Interface())
	}
	return "?"
}

// difference is a value that is not what was recorded.
type difference struct{ path, want, got string }

// diff compares two trees in the order of the first. Of a part that only one side has, one difference tells.
func diff(want, got tree) []difference {
	var out []difference
	for _, p := range want.paths {
		if g, ok := got.values[p]; ok && g != want.values[p] {
			out = append(out, difference{p, want.values[p], g})
		} else if !ok && !explained(p, want, got) {
			out = append(out, difference{p, want.values[p], "absent"})
		}
	}
	for _, p := range got.paths {
		if _, ok := want.values[p]; !ok && !explained(p, got, want) {
			out = append(out, difference{p, "absent", got.values[p]})
		}
	}
	return out
}

// explained reports whether the list that p is in differs already: it is null for one side, or its keys differ.
func explained(p string, has, lacks tree) bool {
	for i := len(p) - 1; i > 0; i-- {
		if p[i] != '[' && p[i] != ' ' {
			continue
		}
		list := p[:i]
		if has.values[list] != lacks.values[list] || p[i] == '[' && has.values[list+" keys"] != lacks.values[list+" keys"] {
			return true
		}
	}
	return false
}
