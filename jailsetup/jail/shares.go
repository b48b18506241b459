package jail

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"emujail/jailsetup/check"
	"emujail/jailsetup/rootfs/tree"
)

// shareTops are the directories of a jail's root that tmcd's mounts may lie
// below (jail.md §2.6). Anything else would cover what the jail is made of.
var shareTops = [...]string{"groups", "proj", "scratch", "share", "users"}

// sharesOf turns tmcd's mounts into shares. As in the original, a directory
// that isn't on this host is skipped with a note; the jail boots without it.
func (s Site) sharesOf(w Wish) (shares []tree.Share, notes []string, err error) {
	if s.Remote && len(w.Mounts.Mounts) > 0 {
		return nil, []string{"nothing of tmcd's mounts is mounted: this host is remote"}, nil
	}
	for _, m := range w.Mounts.Mounts {
		if m.Remote == "" {
			continue // no shared file system: the jail makes the directory itself
		}
		target := strings.TrimPrefix(path.Clean("/"+m.Local), "/")
		top, below, _ := strings.Cut(target, "/")
		if !slices.Contains(shareTops[:], top) || below == "" && top != "share" {
			return nil, nil, fmt.Errorf("tmcd's mounts: %q is no place for a mount (want one below /%s)", m.Local, strings.Join(shareTops[:], ", /"))
		}
		source := s.shareSource("/" + target)
		if info, err := os.Stat(source); err != nil || !info.IsDir() {
			notes = append(notes, fmt.Sprintf("%s is not mounted: this host has no directory %s (site file: shares)", m.Local, source))
			continue
		}
		shares = append(shares, tree.Share{Source: source, Target: target})
	}
	return shares, notes, nil
}

// Setup is what advice is given on, but for templates.
func (s Site) Setup() check.Setup {
	shares := slices.Sorted(maps.Values(s.Shares))
	if dir := s.LocalStores(); dir != "" && openToOthers(dir) {
		shares = append(shares, dir)
	}
	setup := check.Setup{
		Shares: shares, State: s.State, Local: s.LocalStores(),
		Processes: s.Limits.Processes, Memory: int64(s.Limits.MemoryMiB) << 20,
	}
	if c, err := s.Network(); err == nil { // a prefix that is still to be found has no address
		setup.Names = namesOf(c)
	}
	return setup
}

// openToOthers tells whether users of the host come to what is in the directory.
func openToOthers(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o011 != 0
}

// shareSource is the host's path for a path in the jail: the longest prefix in
// the site's list decides.
func (s Site) shareSource(inner string) string {
	for at := inner; at != "/"; at = path.Dir(at) {
		if outer, ok := s.Shares[at]; ok {
			return path.Join(outer, strings.TrimPrefix(inner, at))
		}
	}
	return inner
}
