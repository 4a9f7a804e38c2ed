package zkstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kraal-mq/kraal/zkstore/meta"
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
func (z *Store) EnsureTokenPaths(ctx context.Context) error {
	if err := z.s.ensure(ctx, tokenChangesPath); err != nil {
		return err
	}
	return z.s.ensure(ctx, tokensPath)
}

// Tokens reads all tokens; unreadable ones are in broken.
func (z *Store) Tokens(ctx context.Context) (tokens map[string]Token, broken map[string]error, err error) {
	ids, err := z.s.children(ctx, tokensPath)
	if err != nil {
		return nil, nil, err
	}
	return collect(ctx, z.s, ids, TokenPath, tokenOf)
}

// Token reads one; [ErrNoNode] when there is none.
func (z *Store) Token(ctx context.Context, id string) (Token, error) {
	n, err := z.s.get(ctx, TokenPath(id))
	if err != nil {
		return Token{}, err
	}
	return tokenOf(id, n)
}

func tokenOf(id string, n znode) (Token, error) {
	t, err := decodeToken(n.data)
	return t, unreadable(TokenPath(id), err)
}

// SetToken writes a token and publishes the change.
func (z *Store) SetToken(ctx context.Context, t Token) error {
	if _, err := z.s.put(ctx, TokenPath(t.ID), encodeToken(t)); err != nil {
		return err
	}
	return z.publishTokenChange(ctx, t.ID)
}

// DeleteToken removes a token and publishes the change.
func (z *Store) DeleteToken(ctx context.Context, id string) error {
	if err := z.s.delete(ctx, TokenPath(id), anyVersion); err != nil {
		return err
	}
	return z.publishTokenChange(ctx, id)
}

func (z *Store) publishTokenChange(ctx context.Context, id string) error {
	return z.s.createSequential(ctx, tokenChangesPath+"/"+tokenChangePrefix, []byte(id))
}

const tokenVersion = 3

// encodeToken writes
//
//	{"issueTimestamp":1700000000000,"renewers":["User%3Abob"],"tokenRequester":"User%3Aadmin","tokenId":"..",
//	 "owner":"User%3Aalice","expiryTimestamp":1700086400000,"maxTimestamp":1700604800000,"version":3}
func encodeToken(t Token) []byte {
	principal := func(b []byte, p string) []byte { return appendString(b, meta.Sanitize(p)) }
	b := appendInt([]byte(`{"issueTimestamp":`), t.Issued.UnixMilli())
	b = appendList(append(b, `,"renewers":`...), t.Renewers, principal)
	b = principal(append(b, `,"tokenRequester":`...), t.Requester)
	b = appendString(append(b, `,"tokenId":`...), t.ID)
	b = principal(append(b, `,"owner":`...), t.Owner)
	b = appendInt(append(b, `,"expiryTimestamp":`...), t.Expiry.UnixMilli())
	b = appendInt(append(b, `,"maxTimestamp":`...), t.Max.UnixMilli())
	return append(appendInt(append(b, `,"version":`...), tokenVersion), '}')
}

// decodeToken reads versions 1 to 3; before 3 the requester was the owner.
func decodeToken(data []byte) (t Token, err error) {
	o, err := parseObject(data)
	if err != nil {
		return t, err
	}
	version, err := mandatory(o, "version", asInt[int](32))
	if err != nil {
		return t, err
	}
	if version < 1 || version > tokenVersion {
		return t, fmt.Errorf("version %d", version)
	}
	if t.ID, err = mandatory(o, "tokenId", asString); err != nil {
		return t, err
	}
	if t.Owner, err = mandatory(o, "owner", asPrincipal); err != nil {
		return t, err
	}
	if t.Requester, err = optional(o, "tokenRequester", asPrincipal, t.Owner); err != nil {
		return t, err
	}
	if t.Renewers, err = mandatory(o, "renewers", asList(asPrincipal)); err != nil {
		return t, err
	}
	for key, to := range map[string]*time.Time{"issueTimestamp": &t.Issued, "maxTimestamp": &t.Max, "expiryTimestamp": &t.Expiry} {
		ms, err := mandatory(o, key, asInt[int64](64))
		if err != nil {
			return t, err
		}
		*to = time.UnixMilli(ms)
	}
	return t, nil
}

func asPrincipal(raw json.RawMessage) (string, error) {
	s, err := asString(raw)
	if err != nil {
		return "", err
	}
	return meta.Desanitize(s)
}
