package steps

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncFS puts all that was written to the file system of dir on its disk: one
// call for the thousand files of a package.
func syncFS(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(d.Fd()))), d.Close())
}
