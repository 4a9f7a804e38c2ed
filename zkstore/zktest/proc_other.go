//go:build !linux

package zktest

import "syscall"

func dieWithUs() *syscall.SysProcAttr { return nil }
