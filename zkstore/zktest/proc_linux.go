package zktest

import "syscall"

// dieWithUs makes the kernel end a server whose test process was killed.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
