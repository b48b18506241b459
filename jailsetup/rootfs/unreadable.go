package rootfs

// Unreadable lists the paths below a host's /usr that others can't read, which
// every jail's /usr must have covered (S29); what lies below such a directory
// is covered with it. The walk takes about a second.
func Unreadable(usr string) ([]string, error) { return findMasks(usr, "local") }
