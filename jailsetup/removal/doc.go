// Package removal removes what is ours from the host's disks, and nothing else:
// it crosses no mount and follows no link. At the other end of a mount there may
// be a user's work (jail.md §4.5, S21).
//
//	removal.Unmounted(dir)       // nothing is mounted at or below it
//	removal.Tree(dir, "record")  // the directory and all in it, the record last
//	removal.Disk(ctx, image)     // a jail's disk, once nobody has it
//
// Two walls stand one behind the other. What is mounted, or in use, is looked for
// before the first deletion: then nothing is lost, and [*UseError] says what it is
// and what to do. What changes after that look is met by the walk itself, which
// goes from descriptor to descriptor by openat2, beneath the directory it holds,
// through no link and into no other mount, and stops at the first surprise.
//
// What it can't tell: an own directory and a foreign one of the same file system
// that somebody has moved into its place. Our directories are root's alone for
// that.
//
// Mounts are those that this process sees. Of one in another mount namespace
// nothing is lost either: the kernel takes the mount off the directory that goes,
// and what is mounted stays.
package removal

import "fmt"

// UseError says that something is left as it is because it is in use.
type UseError struct {
	Path   string // what was to be removed
	Use    string // what keeps it
	Remedy string // a command, or what to do in words
}

// Error implements error.
func (e *UseError) Error() string {
	return fmt.Sprintf("%s stays: %s (%s, then the same again)", e.Path, e.Use, e.Remedy)
}
