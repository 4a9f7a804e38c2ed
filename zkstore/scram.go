package zkstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/kraal-mq/kraal/zkstore/meta"
)

// SCRAMCredential is what a broker must know to check a SCRAM login; it is not the password.
type SCRAMCredential struct {
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int
}

// SCRAM mechanisms, which are also the config keys below /config/users.
const (
	SCRAMSHA256 = "SCRAM-SHA-256"
	SCRAMSHA512 = "SCRAM-SHA-512"
)

// ParseSCRAMCredential reads "salt=..,stored_key=..,server_key=..,iterations=4096", the text form kept in the config of a
// user (Kafka's ScramCredentialUtils).
func ParseSCRAMCredential(s string) (c SCRAMCredential, err error) {
	fields := map[string]string{}
	for pair := range strings.SplitSeq(s, ",") {
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return c, fmt.Errorf("SCRAM credential: %q is not key=value", key)
		}
		fields[key] = value
	}
	if len(fields) != 4 {
		return c, fmt.Errorf("SCRAM credential of %d fields", len(fields))
	}
	for key, to := range map[string]*[]byte{"salt": &c.Salt, "stored_key": &c.StoredKey, "server_key": &c.ServerKey} {
		value, found := fields[key]
		if !found {
			return c, fmt.Errorf("SCRAM credential without %s", key)
		}
		if *to, err = base64.StdEncoding.DecodeString(value); err != nil {
			return c, fmt.Errorf("SCRAM credential: %s: %w", key, err)
		}
	}
	if c.Iterations, err = strconv.Atoi(fields["iterations"]); err != nil {
		return c, fmt.Errorf("SCRAM credential: iterations: %w", err)
	}
	return c, nil
}

// String is the text form. It is as secret as the password's hash is.
func (c SCRAMCredential) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return "salt=" + b64(c.Salt) + ",stored_key=" + b64(c.StoredKey) + ",server_key=" + b64(c.ServerKey) +
		",iterations=" + strconv.Itoa(c.Iterations)
}

func userEntity(user string) meta.Entity {
	return meta.Entity{Type: meta.UserEntity, Name: meta.Sanitize(user)}
}

// SCRAMCredentials reads the credentials of one user (a plain name), by mechanism. One that cannot be read is an
// error, so that a login fails rather than falls back on another mechanism's.
func (z *Store) SCRAMCredentials(ctx context.Context, user string) (map[string]SCRAMCredential, error) {
	e := userEntity(user)
	config, err := z.Config(ctx, e)
	if err != nil {
		return nil, err
	}
	credentials := map[string]SCRAMCredential{}
	for _, mechanism := range []string{SCRAMSHA256, SCRAMSHA512} {
		text, found := config[mechanism]
		if !found {
			continue
		}
		if credentials[mechanism], err = ParseSCRAMCredential(text); err != nil {
			return nil, unreadable(ConfigPath(e), err)
		}
	}
	return credentials, nil
}

// SetSCRAMCredentials writes credentials of one user by mechanism, leaving the rest of the user's config as it is; a nil
// entry removes that mechanism. As in Kafka the last of two writers at once wins.
func (z *Store) SetSCRAMCredentials(ctx context.Context, user string, set map[string]*SCRAMCredential) error {
	e := userEntity(user)
	config, err := z.Config(ctx, e)
	if err != nil {
		return err
	}
	for mechanism, c := range set {
		if c == nil {
			delete(config, mechanism)
		} else {
			config[mechanism] = c.String()
		}
	}
	return z.SetConfig(ctx, e, config)
}
