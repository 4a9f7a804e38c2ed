package zkstore

import (
	"context"
	"time"
)

// Token is a delegation token (KIP-48) as stored; its HMAC is computed, never stored.
type Token struct {
	ID        string
	Owner     string // "User:alice"
	Requester string // "User:admin"
	Renewers  []string
	Issued    time.Time
	Max       time.Time
	Expiry    time.Time
}

// EnsureTokenPaths creates the delegation token tree and its change queue.
func (z *Store) EnsureTokenPaths(ctx context.Context) error { return errPending }

// Tokens reads all tokens; unreadable ones are in broken.
func (z *Store) Tokens(ctx context.Context) (tokens map[string]Token, broken map[string]error, err error) {
	return nil, nil, errPending
}

// Token reads one; [ErrNoNode] when there is none.
func (z *Store) Token(ctx context.Context, id string) (Token, error) { return Token{}, errPending }

// SetToken writes a token and publishes the change.
func (z *Store) SetToken(ctx context.Context, t Token) error { return errPending }

// DeleteToken removes a token and publishes the change.
func (z *Store) DeleteToken(ctx context.Context, id string) error { return errPending }
