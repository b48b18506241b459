// Package transfer carries files between the host and a jail as a tar stream:
// "jailsetup cp". Inside, the jail's own tar is at the other end.
//
//	transfer.Pack(w, "/srv/data", "data", report)   // host → stream
//	transfer.Unpack(r, dir, names, limit, report)   // stream → host
//
// What comes out of a jail is hostile. [Unpack] writes below one directory
// that it was given as an [os.Root], and never through a link, not even one
// that was there before. It makes directories, plain files and links, and of
// links only those that stay within what is copied. Owners, device nodes,
// fifos, hard links and the bits setuid, setgid and sticky don't cross, in
// either direction; files are the caller's, with the permissions that its umask
// leaves. Bytes, entries, depth and length of names are bounded.
//
// What is left behind is told to report, one line each; the rest is copied
// nevertheless. Peers.md §5 has what others got wrong here (CVE-2018-15664).
package transfer

import (
	"errors"
	"fmt"
	"io/fs"
)

// Limit bounds what a jail may make the host write. Zero values are the
// defaults.
type Limit struct {
	Bytes   int64 // in all; 0: 4 GiB
	Entries int   // 0: a million
	Names   int   // bytes of names of directories and links, which are held in memory; 0: 256 MiB
}

const (
	defaultBytes   = 4 << 30
	defaultEntries = 1_000_000
	defaultNames   = 256 << 20
	maxName        = 4096 // bytes of a name within the copy, or of a link
	maxDepth       = 200  // directories in it
)

func (l Limit) orDefault() Limit {
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	if l.Entries == 0 {
		l.Entries = defaultEntries
	}
	if l.Names == 0 {
		l.Names = defaultNames
	}
	return l
}

// permissions are the bits that cross.
const permissions fs.FileMode = 0o777

// errKind says that a kind of file doesn't cross.
func errKind(mode fs.FileMode) error {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return errors.New("is a fifo")
	case mode&fs.ModeSocket != 0:
		return errors.New("is a socket")
	case mode&fs.ModeDevice != 0:
		return errors.New("is a device")
	}
	return fmt.Errorf("is of kind %s", mode.Type())
}
