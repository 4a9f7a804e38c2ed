//go:build !linux && !darwin

package vfs

func bootID() string { return "" }
