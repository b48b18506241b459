package jail

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"emujail/jailsetup/rootfs/tree"
)

// lastIDBase is where the last block of ids begins: below 2^31, which some file
// systems and tools take for the end.
const lastIDBase = 1<<31 - tree.IDCount

// freeIDBase is the lowest block that no jail of the records and no user of
// the host's subordinate id files has (T11).
func (s Site) freeIDBase() (int, error) {
	taken := map[int]bool{}
	names, err := s.List()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		r, err := s.Load(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		taken[r.IDBase] = true
	}
	var foreign []idRange
	for _, path := range [...]string{"/etc/subuid", "/etc/subgid"} {
		ranges, err := readSubordinate(path)
		if err != nil {
			return 0, err
		}
		foreign = append(foreign, ranges...)
	}
	for base := tree.FirstIDBase; base <= lastIDBase; base += tree.IDCount {
		if !taken[base] && !overlapsAny(foreign, base) {
			return base, nil
		}
	}
	return 0, errors.New("no range of ids is free for another jail")
}

type idRange struct{ first, count int }

func overlapsAny(ranges []idRange, base int) bool {
	for _, r := range ranges {
		if base < r.first+r.count && r.first < base+tree.IDCount {
			return true
		}
	}
	return false
}

// readSubordinate reads /etc/subuid or /etc/subgid: NAME:FIRST:COUNT a line.
func readSubordinate(path string) ([]idRange, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []idRange
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		fields := strings.Split(strings.TrimSpace(sc.Text()), ":")
		if len(fields) != 3 {
			continue // empty, or a comment
		}
		first, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.Atoi(fields[2])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s:%d: want NAME:FIRST:COUNT: %w", path, n, err)
		}
		list = append(list, idRange{first, count})
	}
	return list, sc.Err()
}
