// Package vfs is the filesystem the log layer writes to: the real one ([OS]), one in memory that can lose what was not
// synced ([Mem]), and a wrapper that injects errors, short writes and delays ([Fault]).
//
// It knows nothing of logs. Durability is explicit: File.Sync for content and size, FS.SyncDir for the entries of a
// directory. Code that passes against Mem.CrashClone has synced what it must.
package vfs
