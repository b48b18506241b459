package steps

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// installKey tells installations apart: the same file may go to two places.
type installKey struct{ file, dir string }

type installRecord struct {
	stamp int64
	md5   string // empty: not installed
}

// installed is the state file: lines "file mtime md5 dir", for rpms without
// dir; the older form of tarballs without dir is read too.
type installed struct {
	order []installKey
	m     map[installKey]installRecord
}

func loadInstalled(path string) (*installed, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	in := &installed{m: map[installKey]installRecord{}}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 && len(f) != 4 {
			continue // half a line: installed again, which does no harm
		}
		stamp, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		key := installKey{file: f[0]}
		if len(f) == 4 {
			key.dir = f[3]
		}
		in.set(key, installRecord{stamp, f[2]})
	}
	return in, nil
}

// get finds the record of a key, or the older one without directory.
func (in *installed) get(k installKey) installRecord {
	if rec, ok := in.m[k]; ok {
		return rec
	}
	return in.m[installKey{file: k.file}]
}

func (in *installed) set(k installKey, rec installRecord) {
	if _, ok := in.m[k]; !ok {
		in.order = append(in.order, k)
	}
	in.m[k] = rec
}

func (in *installed) text() []byte {
	var b []byte
	for _, k := range in.order {
		b = fmt.Appendf(b, "%s %d %s", k.file, in.m[k].stamp, in.m[k].md5)
		if k.dir != "" {
			b = fmt.Appendf(b, " %s", k.dir)
		}
		b = append(b, '\n')
	}
	return b
}

// recordInstalled says on disk that a package is installed.
func (r *Run) recordInstalled(path string, in *installed, k installKey, p *pkg) error {
	in.set(k, installRecord{p.stamp, p.md5})
	_, err := r.put(path, in.text(), 0o644, true)
	return err
}
