package group

import "errors"

// What requests are refused with; package api knows the codes. What has to do with being the coordinator at all comes from
// package coord.
var (
	ErrInvalidGroupID            = errors.New("invalid group id")
	ErrCoordinatorNotAvailable   = errors.New("the group has just been deleted, expired or moved")
	ErrUnknownMember             = errors.New("unknown member id")
	ErrFencedInstance            = errors.New("another member has taken over the group instance id")
	ErrIllegalGeneration         = errors.New("illegal generation")
	ErrRebalanceInProgress       = errors.New("rebalance in progress")
	ErrInconsistentGroupProtocol = errors.New("no protocol in common with the group")
	ErrInvalidSessionTimeout     = errors.New("session timeout out of range")
	ErrMemberIDRequired          = errors.New("join again with the member id given")
	ErrGroupMaxSizeReached       = errors.New("the group is full")
	ErrNonEmptyGroup             = errors.New("the group has members")
	ErrGroupIDNotFound           = errors.New("no such group")
	// ErrTooLarge is a group whose record does not fit into the log.
	ErrTooLarge = errors.New("the group's record is too large")

	ErrOffsetMetadataTooLarge = errors.New("the offset's metadata is too long")
	ErrInvalidCommitSize      = errors.New("the offsets are too large to be committed at once")
	ErrUnstableOffset         = errors.New("a commit of the offset is on its way")
	ErrGroupSubscribedToTopic = errors.New("a member of the group subscribes to the topic")
)
