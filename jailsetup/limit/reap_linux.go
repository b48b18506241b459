package limit

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Reap takes ended processes of the vnode's cgroup that are this process's
// children out of the process table: those that became so when their parent
// was killed in the middle of a start. It waits for nobody.
func Reap(vnode string) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return // the pattern is right
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil || !inCgroup(string(data), vnode) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // another's, or alive, stays
		}
	}
}

// inCgroup tells whether a /proc/PID/cgroup names the vnode's directory, also
// after its removal.
func inCgroup(text, vnode string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), " (deleted)")
		if strings.HasSuffix(line, ":/"+parent+"/"+vnode) {
			return true
		}
	}
	return false
}
