package zkstore

import (
	"context"
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

// ParseSCRAMCredential reads the text form kept in the config of a user.
func ParseSCRAMCredential(s string) (SCRAMCredential, error) { return SCRAMCredential{}, errPending }

// String is the text form kept in the config of a user.
func (c SCRAMCredential) String() string { return "" }

// SCRAMCredentials reads the credentials of one user (a plain name), by mechanism.
func (z *Store) SCRAMCredentials(ctx context.Context, user string) (map[string]SCRAMCredential, error) {
	return nil, errPending
}

// SetSCRAMCredentials writes credentials of one user by mechanism, leaving the rest of the user's config as it is; a nil
// entry removes that mechanism.
func (z *Store) SetSCRAMCredentials(ctx context.Context, user string, set map[string]*SCRAMCredential) error {
	return errPending
}
