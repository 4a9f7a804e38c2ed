package zkstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The two kinds of ACL have a queue of change notices each, because brokers before Kafka 2.0 knew only the first.

func (z *Store) publishACLChange(ctx context.Context, r ACLResource) error {
	if r.Prefixed {
		return z.s.createSequential(ctx, extendedACLChanges+"/"+aclChangePrefix, encodeExtendedACLChange(r))
	}
	return z.s.createSequential(ctx, literalACLChanges+"/"+aclChangePrefix, encodeLiteralACLChange(r))
}

// encodeLiteralACLChange writes "TOPIC:orders".
func encodeLiteralACLChange(r ACLResource) []byte {
	return []byte(noticeType(r.Type) + ":" + r.Name)
}

func decodeLiteralACLChange(data []byte) (ACLResource, error) {
	name, resource, found := strings.Cut(string(data), ":")
	if !found {
		return ACLResource{}, errors.New("not TYPE:name")
	}
	t, err := pathType(name)
	return ACLResource{Type: t, Name: resource}, err
}

// encodeExtendedACLChange writes {"version":1,"resourceType":"TOPIC","name":"orders-","patternType":"PREFIXED"}.
func encodeExtendedACLChange(r ACLResource) []byte {
	b := appendString([]byte(`{"version":1,"resourceType":`), noticeType(r.Type))
	b = appendString(append(b, `,"name":`...), r.Name)
	return append(b, `,"patternType":"PREFIXED"}`...)
}

func decodeExtendedACLChange(data []byte) (r ACLResource, err error) {
	o, err := parseObject(data)
	if err != nil {
		return r, err
	}
	version, err := mandatory(o, "version", asInt[int](32))
	if err != nil {
		return r, err
	}
	if version > aclVersion {
		return r, fmt.Errorf("version %d", version)
	}
	t, err := mandatory(o, "resourceType", asString)
	if err != nil {
		return r, err
	}
	if r.Type, err = pathType(t); err != nil {
		return r, err
	}
	if r.Name, err = mandatory(o, "name", asString); err != nil {
		return r, err
	}
	switch pattern, err := mandatory(o, "patternType", asString); {
	case err != nil:
		return r, err
	case pattern == "PREFIXED":
		r.Prefixed = true
	case pattern != "LITERAL":
		return r, fmt.Errorf("pattern type %.40q", pattern)
	}
	return r, nil
}

func noticeType(pathType string) string {
	for _, t := range aclTypes {
		if t.path == pathType {
			return t.notice
		}
	}
	return strings.ToUpper(pathType)
}

func pathType(notice string) (string, error) {
	for _, t := range aclTypes {
		if strings.EqualFold(t.notice, notice) {
			return t.path, nil
		}
	}
	return "", fmt.Errorf("resource type %.40q", notice)
}
