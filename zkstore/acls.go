package zkstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ACLResource is what a set of access control entries applies to.
type ACLResource struct {
	Type     string // as in paths: Topic, Group, Cluster, TransactionalId, DelegationToken, User
	Name     string // raw; "*" for all of a type
	Prefixed bool   // pattern type PREFIXED, else LITERAL
}

// ACLEntry is one rule of a resource, spelled as in the znode.
type ACLEntry struct {
	Principal  string // "User:alice"
	Permission string // Allow, Deny
	Host       string // "*" for all
	Operation  string // Read, IdempotentWrite, ...
}

// aclType is a resource type: its name in paths and in change notices.
type aclType struct{ path, notice string }

// aclTypes are in the order Kafka creates their folders.
var aclTypes = []aclType{
	{"TransactionalId", "TRANSACTIONAL_ID"},
	{"Topic", "TOPIC"},
	{"User", "USER"},
	{"DelegationToken", "DELEGATION_TOKEN"},
	{"Group", "GROUP"},
	{"Cluster", "CLUSTER"},
}

const (
	aclVersion = 1
	// A conflicting update is tried again after a pause this long, this often, as AclAuthorizer does.
	aclRetries     = 10
	aclRetryPause  = 100 * time.Millisecond
	aclRetryJitter = 50 * time.Millisecond
)

// EnsureACLPaths creates the ACL trees and their change queues.
func (z *Store) EnsureACLPaths(ctx context.Context) error {
	var paths []string
	for _, root := range []string{literalACLPath, prefixedACLPath} {
		paths = append(paths, root)
		for _, t := range aclTypes {
			paths = append(paths, root+"/"+t.path)
		}
	}
	for _, p := range append(paths, literalACLChanges, extendedACLChanges) {
		if err := z.s.ensure(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// ACLResources lists every resource that has an ACL znode.
func (z *Store) ACLResources(ctx context.Context) ([]ACLResource, error) {
	var folders []ACLResource // without names
	for _, prefixed := range []bool{false, true} {
		root := literalACLPath
		if prefixed {
			root = prefixedACLPath
		}
		types, err := z.s.children(ctx, root)
		if err != nil && !errors.Is(err, ErrNoNode) {
			return nil, err
		}
		slices.Sort(types)
		for _, t := range types {
			if !slices.ContainsFunc(aclTypes, func(a aclType) bool { return a.path == t }) {
				z.s.log.Warn("unknown resource type in the ACL tree", zap.String("path", root+"/"+t))
				continue
			}
			folders = append(folders, ACLResource{Type: t, Prefixed: prefixed})
		}
	}
	var (
		mu sync.Mutex
		rs []ACLResource
	)
	err := z.s.pipeline(ctx, len(folders), func(ctx context.Context, i int) error {
		names, err := z.s.children(ctx, strings.TrimSuffix(ACLPath(folders[i]), "/"))
		if err != nil && !errors.Is(err, ErrNoNode) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, name := range names {
			rs = append(rs, ACLResource{Type: folders[i].Type, Name: name, Prefixed: folders[i].Prefixed})
		}
		return nil
	})
	slices.SortFunc(rs, func(a, b ACLResource) int { return strings.Compare(ACLPath(a), ACLPath(b)) })
	return rs, err
}

// ACLs reads the rules of many resources at once. Resources without a znode are in neither map; unreadable ones are in broken.
func (z *Store) ACLs(ctx context.Context, rs []ACLResource) (acls map[ACLResource][]ACLEntry, broken map[ACLResource]error, err error) {
	return collect(ctx, z.s, rs, ACLPath, entriesOf)
}

func (z *Store) acls(ctx context.Context, r ACLResource) (entries []ACLEntry, version int32, err error) {
	n, err := z.s.get(ctx, ACLPath(r))
	if err != nil {
		return nil, 0, err
	}
	entries, err = entriesOf(r, n)
	return entries, n.stat.Version, err
}

func entriesOf(r ACLResource, n znode) ([]ACLEntry, error) {
	entries, err := decodeACLs(n.data)
	return entries, unreadable(ACLPath(r), err)
}

// UpdateACLs changes the rules of one resource: change gets the present ones and returns the wanted ones, and is called
// again when another broker was faster. An empty result removes the znode. A real change is published.
func (z *Store) UpdateACLs(ctx context.Context, r ACLResource, change func(old []ACLEntry) []ACLEntry) (now []ACLEntry, changed bool, err error) {
	if strings.Contains(r.Name, "/") || r.Name == "" {
		return nil, false, fmt.Errorf("resource name %q cannot be part of a path", r.Name)
	}
	for try := 0; ; try++ {
		now, changed, err = z.updateACLs(ctx, r, change)
		conflict := errors.Is(err, ErrBadVersion) || errors.Is(err, ErrNodeExists) || errors.Is(err, ErrNoNode)
		if !conflict || try == aclRetries {
			break
		}
		pause := time.NewTimer(aclRetryPause + rand.N(aclRetryJitter))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, false, ctx.Err()
		}
	}
	if err != nil || !changed {
		return now, false, err
	}
	return now, true, z.publishACLChange(ctx, r)
}

// updateACLs is one attempt.
func (z *Store) updateACLs(ctx context.Context, r ACLResource, change func([]ACLEntry) []ACLEntry) (now []ACLEntry, changed bool, err error) {
	old, version, err := z.acls(ctx, r)
	missing := errors.Is(err, ErrNoNode)
	if err != nil && !missing {
		return nil, false, err
	}
	now = change(slices.Clone(old))
	switch {
	case len(now) == 0 && missing, !missing && sameEntries(old, now):
		return now, false, nil
	case len(now) == 0:
		return now, true, z.s.delete(ctx, ACLPath(r), version)
	case missing:
		return now, true, z.s.createDeep(ctx, ACLPath(r), encodeACLs(now))
	default:
		_, err = z.s.set(ctx, ACLPath(r), encodeACLs(now), version)
		return now, true, err
	}
}

func sameEntries(a, b []ACLEntry) bool {
	within := func(a, b []ACLEntry) bool {
		return !slices.ContainsFunc(a, func(e ACLEntry) bool { return !slices.Contains(b, e) })
	}
	return within(a, b) && within(b, a)
}

// encodeACLs writes {"acls":[{"principal":"User:alice","permissionType":"Allow","host":"*","operation":"Read"}],"version":1}.
func encodeACLs(entries []ACLEntry) []byte {
	b := []byte(`{"acls":`)
	b = appendList(b, entries, func(b []byte, e ACLEntry) []byte {
		b = appendString(append(b, `{"principal":`...), e.Principal)
		b = appendString(append(b, `,"permissionType":`...), e.Permission)
		b = appendString(append(b, `,"host":`...), e.Host)
		b = appendString(append(b, `,"operation":`...), e.Operation)
		return append(b, '}')
	})
	return append(appendInt(append(b, `,"version":`...), aclVersion), '}')
}

// decodeACLs takes null data and no bytes for no rules.
func decodeACLs(data []byte) ([]ACLEntry, error) {
	if len(data) == 0 {
		return nil, nil
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	version, err := mandatory(o, "version", asInt[int](32))
	if err != nil {
		return nil, err
	}
	if version != aclVersion {
		return nil, fmt.Errorf("version %d", version)
	}
	return mandatory(o, "acls", asList(func(raw json.RawMessage) (e ACLEntry, err error) {
		o, err := asObject(raw)
		if err != nil {
			return e, err
		}
		if e.Principal, err = mandatory(o, "principal", asString); err != nil {
			return e, err
		}
		if e.Permission, err = mandatory(o, "permissionType", asString); err != nil {
			return e, err
		}
		if e.Host, err = mandatory(o, "host", asString); err != nil {
			return e, err
		}
		e.Operation, err = mandatory(o, "operation", asString)
		return e, err
	}))
}
