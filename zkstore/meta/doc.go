// Package meta holds the words every part of kraal shares: broker ids, epochs, topic ids, assignments,
// leadership. Types and their text forms only; no I/O and nothing outside the standard library.
//
// Ids and epochs are types of their own because two bare int32s get swapped.
package meta
