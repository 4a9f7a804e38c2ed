package brokertest

import "syscall"

// dieWithUs makes the kernel end a broker whose test process was killed.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
