package steps

import (
	"context"
	"crypto/md5"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"emujail/jailsetup/injail/steps/fetch"
)

// largeFile is the size from which even a mounted file is fetched over the web
// from servers named users.*: NFS would be slower (jail.md §3.6).
const largeFile = 256 << 20

// source says where a package is.
type source struct {
	server string
	web    bool
	path   string // on the server, and where it's mounted
	tmp    string // directory for the copy, on the file system of the target
}

// pkgState is what obtain found.
type pkgState int

const (
	fresh   pkgState = iota // to be installed
	current                 // nothing has changed
	renewed                 // touched, but the same bytes: only the time is new
)

// pkg is an obtained package.
type pkg struct {
	state pkgState
	file  *os.File
	own   bool // a copy of ours, removed by close
	stamp int64
	md5   string
}

func (p *pkg) close() {
	if p.file == nil {
		return
	}
	p.file.Close()
	if p.own {
		os.Remove(p.file.Name())
	}
}

// obtain gets a package unless it is what was installed last. A mounted file is
// used where it lies; what isn't mounted comes over the web.
func (r *Run) obtain(ctx context.Context, s source, last installRecord) (*pkg, error) {
	st, err := os.Stat(r.path(s.path))
	large := err == nil && st.Size() > largeFile && strings.HasPrefix(s.server, "users.")
	if err != nil || s.web || large {
		return r.download(ctx, s, last)
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	p := &pkg{stamp: st.ModTime().Unix(), md5: last.md5}
	if last.md5 != "" && p.stamp <= last.stamp {
		p.state = current
		return p, nil
	}
	if p.file, err = os.Open(r.path(s.path)); err != nil {
		return nil, err
	}
	sum := md5.New()
	if _, err := io.Copy(sum, p.file); err != nil {
		p.close()
		return nil, err
	}
	p.md5 = hex.EncodeToString(sum.Sum(nil))
	if p.md5 == last.md5 {
		p.state = renewed
	}
	return p, nil
}

// download asks the testbed's web server, which says 304 if stamp and md5 are
// those of its file.
func (r *Run) download(ctx context.Context, s source, last installRecord) (*pkg, error) {
	key, err := os.ReadFile(r.path(bootDir + "/keyhash"))
	if err != nil {
		return nil, fmt.Errorf("the web server wants our key: %w", err)
	}
	secret := strings.TrimSpace(string(key))
	u, err := r.webURL(s, secret, last)
	if err != nil {
		return nil, err
	}
	roots, err := r.webRoots()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.tmp, "tarball.*")
	if err != nil {
		return nil, err
	}
	p := &pkg{file: f, own: true, stamp: time.Now().Unix()}
	res, err := fetch.Get(ctx, fetch.Request{URL: u, Into: f, Secret: secret, Roots: roots,
		Progress: func(line string) { r.say("%s: %s", s.path, line) }})
	if err != nil {
		p.close()
		return nil, err
	}
	p.md5 = res.MD5
	// The file's own time, by the server's clock: with ours, a file changed
	// right after we got it would pass for the one we have.
	if !res.Modified.IsZero() {
		p.stamp = res.Modified.Unix()
	}
	switch {
	case res.NotModified:
		p.state, p.md5 = current, last.md5
	case p.md5 == last.md5:
		p.state = renewed
	}
	return p, nil
}

// webURL is the request of jail.md §3.6. The host's jail.conf names the server
// (a bare host means http there, since the host vouches for it); else it is
// the one in the record, over https.
func (r *Run) webURL(s source, key string, last installRecord) (string, error) {
	base := r.Conf.WebServer
	switch {
	case base == "" && s.server == "":
		return "", errors.New("not mounted here, and no web server known")
	case base == "":
		base = "https://" + s.server
	case !strings.Contains(base, "://"):
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("web server: %w", err)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/spewrpmtar"
	q := url.Values{"nodeid": {r.VNode}, "file": {s.path}, "key": {key}}
	if last.md5 != "" {
		q.Set("stamp", strconv.FormatInt(last.stamp, 10))
		q.Set("md5", last.md5)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// webRoots adds the testbed's own CA, if the host gave one, to the system's.
func (r *Run) webRoots() (*x509.CertPool, error) {
	text, err := os.ReadFile(r.path(hostDir + "/web.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s/web.pem: no certificate in it", hostDir)
	}
	return pool, nil
}

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
