package api

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kraal-mq/kraal/broker/wire"
)

// countErrors counts every error code in a response, of the whole and of its parts, success included.
func countErrors(body wire.Body, to *errorMetrics) {
	none := 0
	add := func(code int16) {
		if code == 0 {
			none++ // together, below: most are
			return
		}
		to.add(code, 1)
	}
	switch resp := body.(type) {
	case *wire.FetchResponse:
		add(int16(resp.Code))
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				add(int16(resp.Topics[i].Partitions[j].Code))
			}
		}
	case *kmsg.ProduceResponse:
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				add(resp.Topics[i].Partitions[j].ErrorCode)
			}
		}
	default:
		if v := reflect.ValueOf(body); v.Kind() == reflect.Pointer {
			layout := to.layout.Load()
			if layout == nil {
				layout = layoutOf(body)
				to.layout.Store(layout)
			}
			layout.each(v.Elem(), add)
		}
	}
	if none > 0 {
		to.add(0, none)
	}
}

// errorLayout says where the error codes of a response type are: in a field, and in lists of parts.
type errorLayout struct {
	field int // -1: none
	lists []errorList
}

type errorList struct {
	field int
	parts *errorLayout
}

func layoutOf(body wire.Body) *errorLayout { return findErrors(reflect.TypeOf(body).Elem()) }

func findErrors(t reflect.Type) *errorLayout {
	l := &errorLayout{field: -1}
	if t.Kind() != reflect.Struct {
		return l
	}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Name == "ErrorCode" && f.Type.Kind() == reflect.Int16:
			l.field = i
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			if part := findErrors(f.Type.Elem()); part.field >= 0 || len(part.lists) > 0 {
				l.lists = append(l.lists, errorList{i, part})
			}
		}
	}
	return l
}

func (l *errorLayout) each(v reflect.Value, do func(int16)) {
	if l.field >= 0 {
		do(int16(v.Field(l.field).Int()))
	}
	for _, of := range l.lists {
		parts := v.Field(of.field)
		for i := range parts.Len() {
			of.parts.each(parts.Index(i), do)
		}
	}
}
