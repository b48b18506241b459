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
	"emujail/protocol"
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
	secret, err := r.keyHash()
	if err != nil {
		return nil, err
	}
	u, err := r.webURL(s, secret, last)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.tmp, "tarball.*")
	if err != nil {
		return nil, err
	}
	p := &pkg{file: f, own: true, stamp: time.Now().Unix()}
	res, err := r.get(ctx, u, f, secret, s.path)
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

// get fetches a URL into a file.
func (r *Run) get(ctx context.Context, u string, into *os.File, secret, what string) (fetch.Result, error) {
	roots, err := r.webRoots()
	if err != nil {
		return fetch.Result{}, err
	}
	return fetch.Get(ctx, fetch.Request{URL: u, Into: into, Secret: secret, Roots: roots,
		Progress: func(line string) { r.say("%s: %s", what, line) }})
}

// keyHash is what the web server knows us by. It's read from the cache: the
// file that has it is written by a step, and hooks come before that.
func (r *Run) keyHash() (string, error) {
	reply, err := r.cached("keyhash")
	if err != nil {
		return "", err
	}
	hash, err := protocol.ParseKeyHash(reply)
	if err == nil && hash == "" {
		err = errors.New("the web server wants our key, and tmcd gives none")
	}
	return string(hash), err
}

// webURL is the request of jail.md §3.6.
func (r *Run) webURL(s source, key string, last installRecord) (string, error) {
	q := url.Values{"nodeid": {r.VNode}, "file": {s.path}, "key": {key}}
	if last.md5 != "" {
		q.Set("stamp", strconv.FormatInt(last.stamp, 10))
		q.Set("md5", last.md5)
	}
	return r.webAt(s.server, "/spewrpmtar", q)
}

// webAt makes a URL of the testbed's web server. The host's jail.conf names it
// (a bare host means http there, since the host vouches for it); else it is
// the server in the record, over https.
func (r *Run) webAt(server, path string, q url.Values) (string, error) {
	base := r.Conf.WebServer
	switch {
	case base == "" && server == "":
		return "", errors.New("not mounted here, and no web server known")
	case base == "":
		base = "https://" + server
	case !strings.Contains(base, "://"):
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("web server: %w", err)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + path
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
