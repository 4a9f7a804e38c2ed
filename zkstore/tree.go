package zkstore

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"
)

func (s *Session) absolute(path string) string { return s.chroot + path }

func (s *Session) relative(path string) string { return strings.TrimPrefix(path, s.chroot) }

// createChroot makes what is missing of the chroot. Kafka's tools leave that to brokers, and so do ours by naming an
// existing one. The whole is tried first: we may not be allowed to create its parents, nor need to.
func (s *Session) createChroot(ctx context.Context) error {
	if s.chroot == "" {
		return nil
	}
	found, err := read(ctx, s, func() (bool, error) {
		found, _, err := s.conn.Exists(s.chroot)
		return found, err
	})
	if found || err != nil {
		return err
	}
	return s.createRoot(ctx, s.chroot)
}

func (s *Session) createRoot(ctx context.Context, at string) error {
	for {
		_, _, err := again(ctx, s, func() (string, error) {
			return s.conn.Create(at, nil, zk.FlagPersistent, s.acl(at))
		})
		switch {
		case err == nil, err == ErrNodeExists:
			return nil
		case err != ErrNoNode:
			return failed("create chroot", at, err)
		}
		if err := s.createRoot(ctx, path.Dir(at)); err != nil {
			return err
		}
	}
}

// createDeep creates a znode and whatever is missing above it, as structure without data. Parents that exist are fine,
// the znode itself existing is [ErrNodeExists].
func (s *Session) createDeep(ctx context.Context, at string, data []byte) error {
	err := s.create(ctx, at, data)
	if !errors.Is(err, ErrNoNode) || path.Dir(at) == "/" {
		return err
	}
	if err := s.ensure(ctx, path.Dir(at)); err != nil {
		return err
	}
	return s.create(ctx, at, data)
}

// ensure is createDeep of structure that may exist.
func (s *Session) ensure(ctx context.Context, at string) error {
	if err := s.createDeep(ctx, at, nil); err != nil && !errors.Is(err, ErrNodeExists) {
		return err
	}
	return nil
}

// put sets a znode whatever its version, or creates it, and returns the version it has now.
func (s *Session) put(ctx context.Context, at string, data []byte) (version int32, err error) {
	for {
		if version, err = s.set(ctx, at, data, anyVersion); !errors.Is(err, ErrNoNode) {
			return version, err
		}
		if err = s.createDeep(ctx, at, data); !errors.Is(err, ErrNodeExists) {
			return 0, err
		}
	}
}

// putFenced is put behind a fence. What is created above the znode is structure without data and needs none.
func (s *Session) putFenced(ctx context.Context, f Fence, at string, data []byte) error {
	if f.open {
		_, err := s.put(ctx, at, data)
		return err
	}
	for {
		_, err := s.setFenced(ctx, f, at, data, anyVersion, false)
		if !errors.Is(err, ErrNoNode) {
			return err
		}
		err = s.createFenced(ctx, f, at, data, false)
		if errors.Is(err, ErrNoNode) {
			if err := s.ensure(ctx, path.Dir(at)); err != nil {
				return err
			}
			err = s.createFenced(ctx, f, at, data, false)
		}
		if !errors.Is(err, ErrNodeExists) {
			return err
		}
	}
}

// deleteTree deletes a znode and all below it, each under the fence, children first.
func (s *Session) deleteTree(ctx context.Context, f Fence, at string) error {
	for {
		children, err := s.children(ctx, at)
		if errors.Is(err, ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		slices.Sort(children)
		for _, c := range children {
			if err := s.deleteTree(ctx, f, at+"/"+c); err != nil {
				return err
			}
		}
		// Somebody may have added a child meanwhile.
		if err := s.deleteFenced(ctx, f, at); !errors.Is(err, ErrNotEmpty) {
			return err
		}
	}
}

// sensitive are the subtrees of which others may not even read the data, as plain prefixes (Kafka's ZkData).
var sensitive = []string{"/config/users", "/config/brokers", "/delegation_token/tokens"}

// acl returns what a new znode is protected with: nothing unless zookeeper.set.acl, otherwise our identity may do all
// and the world may read what is not sensitive. /consumers itself stays open, since consumers create their groups there.
func (s *Session) acl(at string) []zk.ACL {
	if !s.o.SetACL || at == "/consumers" {
		return zk.WorldACL(zk.PermAll)
	}
	acl := zk.AuthACL(zk.PermAll)
	if slices.ContainsFunc(sensitive, func(p string) bool { return strings.HasPrefix(at, p) }) {
		return acl
	}
	return append(acl, zk.WorldACL(zk.PermRead)...)
}
