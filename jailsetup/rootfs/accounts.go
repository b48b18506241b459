package rootfs

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// firstUserID is where people's ids begin on Debian; nobody and nogroup lie
// above and belong to the system.
const (
	firstUserID = 1000
	nobodyID    = 65534
)

// The testbed's own account, under the number that its nodes have always had. It
// has no password and no home until the testbed gives it one.
const (
	testbedUser = "emulabman"
	testbedLine = testbedUser + ":x:65520:10:Emulab:/home/emulabman:/bin/bash"
)

// stubAccounts are the four files of a jail that has no people yet: the host's
// system accounts, so that ids below /usr keep their names, and the testbed's
// (jail.md §7.1); none with a password, none with the host's administrators.
type stubAccounts struct {
	passwd, group, shadow, gshadow []byte
}

func readStubAccounts(etc string) (stubAccounts, error) {
	var s stubAccounts
	users, err := systemLines(filepath.Join(etc, "passwd"), 7)
	if err != nil {
		return s, err
	}
	names := map[string]bool{}
	var passwd, shadow, group, gshadow bytes.Buffer
	users = slices.DeleteFunc(users, func(f []string) bool { return f[0] == testbedUser })
	for _, f := range append(users, strings.Split(testbedLine, ":")) {
		names[f[0]] = true
		shell := f[6]
		if f[0] == "root" {
			shell = "/bin/bash"
		}
		fmt.Fprintf(&passwd, "%s:x:%s:%s:%s:%s:%s\n", f[0], f[2], f[3], f[4], f[5], shell)
		fmt.Fprintf(&shadow, "%s:*:19000:0:99999:7:::\n", f[0])
	}
	groups, err := systemLines(filepath.Join(etc, "group"), 4)
	if err != nil {
		return s, err
	}
	for _, f := range groups {
		members := keepNames(f[3], names)
		fmt.Fprintf(&group, "%s:x:%s:%s\n", f[0], f[2], members)
		fmt.Fprintf(&gshadow, "%s:*::%s\n", f[0], members)
	}
	return stubAccounts{passwd.Bytes(), group.Bytes(), shadow.Bytes(), gshadow.Bytes()}, nil
}

// systemLines reads a colon-separated account file and keeps the lines whose
// third field is a system's id.
func systemLines(path string, fields int) ([][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var kept [][]string
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		f := strings.Split(sc.Text(), ":")
		if len(f) != fields {
			continue // an NIS marker or a broken line: not for a jail
		}
		id, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue // so is one without a number
		}
		if id < firstUserID || id == nobodyID {
			kept = append(kept, f)
		}
	}
	return kept, sc.Err()
}

func keepNames(list string, known map[string]bool) string {
	var kept []string
	for name := range strings.SplitSeq(list, ",") {
		if known[name] {
			kept = append(kept, name)
		}
	}
	return strings.Join(kept, ",")
}

// groupID is the id of a group in a group file's bytes, or 0.
func groupID(group []byte, name string) int {
	for line := range bytes.Lines(group) {
		f := strings.Split(strings.TrimSpace(string(line)), ":")
		if len(f) == 4 && f[0] == name {
			id, _ := strconv.Atoi(f[2])
			return id
		}
	}
	return 0
}
