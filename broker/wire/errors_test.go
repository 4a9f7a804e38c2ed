package wire

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodes(t *testing.T) {
	for _, c := range []struct {
		code      Code
		number    int16
		name      string
		retriable bool
	}{
		{None, 0, "NONE", false},
		{ErrUnknownServer, -1, "UNKNOWN_SERVER_ERROR", false},
		{ErrNotLeaderOrFollower, 6, "NOT_LEADER_OR_FOLLOWER", true},
		{ErrInvalidTopic, 17, "INVALID_TOPIC_EXCEPTION", false},
		{ErrNotController, 41, "NOT_CONTROLLER", true},
		{ErrFetchSessionTopicID, 106, "FETCH_SESSION_TOPIC_ID_ERROR", true},
		{ErrTransactionAbortable, 120, "TRANSACTION_ABORTABLE", false},
		{Code(9999), 9999, "CODE_9999", false},
		{Code(-7), -7, "CODE_-7", false},
	} {
		if int16(c.code) != c.number || c.code.Name() != c.name || c.code.Retriable() != c.retriable {
			t.Errorf("%d %s retriable %v, want %+v", c.code, c.code.Name(), c.code.Retriable(), c)
		}
	}
	for c := Code(-1); c <= 120; c++ {
		if c.Name() == "" || c.Message() == "" {
			t.Errorf("code %d has no name or message", c)
		}
	}
	if None.Err() != nil {
		t.Error("None is an error")
	}
	if err := fmt.Errorf("append: %w", ErrNotEnoughReplicas.Err()); !errors.Is(err, ErrNotEnoughReplicas) {
		t.Error("a wrapped code is not found again")
	}
}
