//go:build unix

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncDir fsyncs a directory: until then a file created or renamed in it may be gone after a power failure, however
// well its content was synced.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func usage(name string) (total, usable int64, err error) {
	var st unix.Statfs_t
	for {
		err = unix.Statfs(name, &st)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: name, Err: err}
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize), nil
}
