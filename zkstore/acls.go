package zkstore

import (
	"context"
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

// EnsureACLPaths creates the ACL trees and their change queues.
func (z *Store) EnsureACLPaths(ctx context.Context) error { return errPending }

// ACLResources lists every resource that has an ACL znode.
func (z *Store) ACLResources(ctx context.Context) ([]ACLResource, error) { return nil, errPending }

// ACLs reads the rules of many resources at once. Resources without a znode are in neither map; unreadable ones are in broken.
func (z *Store) ACLs(ctx context.Context, rs []ACLResource) (acls map[ACLResource][]ACLEntry, broken map[ACLResource]error, err error) {
	return nil, nil, errPending
}

// UpdateACLs changes the rules of one resource: change gets the present ones and returns the wanted ones, and is called
// again when another broker was faster. An empty result removes the znode. A real change is published.
func (z *Store) UpdateACLs(ctx context.Context, r ACLResource, change func(old []ACLEntry) []ACLEntry) (now []ACLEntry, changed bool, err error) {
	return nil, false, errPending
}
