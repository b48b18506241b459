// Package fetch gets a file over HTTP into a file of ours, whole or not at all.
//
//	got, err := fetch.Get(ctx, fetch.Request{URL: u, Into: f, Secret: keyhash, …})
//	if got.NotModified { … }
//
// A transfer that breaks is taken up where it broke (Range with If-Range on
// the server's validator) and begun anew where the server can't. Trouble that
// may pass (no connection, 5xx, a cut body) is retried with growing pauses;
// an answer that won't change (4xx) is final at once. An attempt without a
// byte for Stall ends.
//
// The server is believed for the bytes and nothing else: certificates are
// verified for https, a redirect is followed only to the same host and never
// from https down to http (peers.md T44), and a digest that the server sends
// (Repr-Digest, Digest, Content-MD5) must fit. Proxies named in the
// environment are not used.
//
// Secret is cut out of every error and log line: the key travels in the URL
// (jail.md §3.6), and net/http likes to quote URLs.
package fetch

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Defaults for the zero values of a Request.
const (
	DefaultTries = 6
	DefaultPause = 200 * time.Millisecond
	DefaultStall = 30 * time.Second
	maxPause     = 10 * time.Second
)

// Request says what to get and how patiently.
type Request struct {
	URL    string
	Into   *os.File       // empty, open for reading and writing
	Secret string         // cut out of errors
	Roots  *x509.CertPool // nil: those of the system
	Tries  int            // attempts without progress before giving up
	Pause  time.Duration  // before the second attempt; doubles
	Stall  time.Duration  // longest silence within an attempt
	// Progress is told of each attempt's end and of each tenth of the file.
	Progress func(line string)
}

// Result is what came.
type Result struct {
	NotModified bool // the server says that what the caller has is current
	Bytes       int64
	MD5         string // hex, of all bytes
	Resumed     int    // how often the transfer was taken up again
	// Modified is when the server's file was changed last, as it says.
	Modified time.Time
}

// StatusError is an answer other than the file.
type StatusError struct {
	Code int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code))
}

// final says that asking again won't help.
func (e *StatusError) final() bool {
	return e.Code < 500 && e.Code != http.StatusRequestTimeout && e.Code != http.StatusTooManyRequests
}

// errFinal marks other errors that repeating won't mend.
type errFinal struct{ error }

func (e errFinal) Unwrap() error { return e.error }

// Get transfers the file. On an error Into holds something unspecified.
func Get(ctx context.Context, r Request) (Result, error) {
	g := &getter{Request: r, client: newClient(r)}
	defer g.client.CloseIdleConnections()
	if g.Tries == 0 {
		g.Tries = DefaultTries
	}
	if g.Pause == 0 {
		g.Pause = DefaultPause
	}
	if g.Stall == 0 {
		g.Stall = DefaultStall
	}
	if g.Progress == nil {
		g.Progress = func(string) {}
	}
	res, err := g.run(ctx)
	return res, scrub(err, r.Secret)
}

type getter struct {
	Request
	client    *http.Client
	have      int64  // bytes in Into
	validator string // of the file that those bytes belong to
	sum       hash.Hash
	resumed   int
	modified  time.Time
	total     int64 // -1 while unknown
	told      int64 // tenths reported
}

func (g *getter) run(ctx context.Context) (Result, error) {
	g.sum, g.total = md5.New(), -1
	pause := g.Pause
	for fails := 0; ; {
		before := g.have
		notModified, err := g.attempt(ctx)
		if err == nil {
			return Result{NotModified: notModified, Bytes: g.have,
				MD5: hex.EncodeToString(g.sum.Sum(nil)), Resumed: g.resumed, Modified: g.modified}, nil
		}
		if ctx.Err() != nil {
			return Result{}, errors.Join(context.Cause(ctx), err)
		}
		if final(err) {
			return Result{}, err
		}
		// An attempt that got further counts as the first; the wrong bytes don't.
		if fails++; g.have > before && !errors.Is(err, ErrDigest) {
			fails, pause = 1, g.Pause
		}
		if fails >= g.Tries {
			return Result{}, fmt.Errorf("%d attempts: %w", fails, err)
		}
		g.Progress(fmt.Sprintf("%v; again in %v", scrub(err, g.Secret), pause))
		select {
		case <-ctx.Done():
			return Result{}, errors.Join(context.Cause(ctx), err)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

func final(err error) bool {
	var status *StatusError
	var mark errFinal
	var disk *os.PathError
	return errors.As(err, &status) && status.final() || errors.As(err, &mark) || errors.As(err, &disk)
}

// attempt asks once and copies what comes behind what there is.
func (g *getter) attempt(ctx context.Context) (notModified bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(g.Stall, func() { cancel(fmt.Errorf("no byte for %v", g.Stall)) })
	defer stall.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL, nil)
	if err != nil {
		return false, errFinal{err}
	}
	// What we hash is what the server stores: no transparent unpacking.
	req.Header.Set("Accept-Encoding", "identity")
	if g.have > 0 && g.validator != "" {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", g.have))
		req.Header.Set("If-Range", g.validator)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return false, cause(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusNotModified:
		return true, nil
	case http.StatusOK:
		if err := g.restart(resp); err != nil {
			return false, err
		}
	case http.StatusPartialContent:
		if err := g.resume(resp); err != nil {
			return false, err
		}
	case http.StatusRequestedRangeNotSatisfiable:
		g.validator = "" // the whole next time
		return false, errors.New("the server refuses to resume")
	default:
		return false, &StatusError{resp.StatusCode}
	}
	if err := g.copy(resp.Body, stall); err != nil {
		return false, cause(ctx, err)
	}
	return false, g.check(resp)
}

// cause prefers why we cancelled to "context canceled", and takes off what
// net/http wraps around: the URL.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	if u := new(url.Error); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// restart begins the file anew: the first time, or when it has changed or the
// server can't resume.
func (g *getter) restart(resp *http.Response) error {
	if g.have > 0 {
		if err := g.Into.Truncate(0); err != nil {
			return err
		}
		if _, err := g.Into.Seek(0, io.SeekStart); err != nil {
			return err
		}
		g.have, g.told = 0, 0
		g.sum.Reset()
	}
	g.total = resp.ContentLength
	g.modified, _ = http.ParseTime(resp.Header.Get("Last-Modified")) // zero if it doesn't say
	g.validator = resp.Header.Get("Etag")
	if strings.HasPrefix(g.validator, "W/") {
		g.validator = "" // says "about the same": not enough to glue bytes together
	}
	if g.validator == "" {
		g.validator = resp.Header.Get("Last-Modified")
	}
	return nil
}

func (g *getter) resume(resp *http.Response) error {
	from, total, err := contentRange(resp.Header.Get("Content-Range"))
	if err != nil || from != g.have {
		g.validator = "" // ask for the whole next time
		return fmt.Errorf("asked for bytes from %d, got %q", g.have, resp.Header.Get("Content-Range"))
	}
	g.total = total
	g.resumed++
	return nil
}

// contentRange parses "bytes 100-199/200"; total is -1 for "*".
func contentRange(s string) (from, total int64, err error) {
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	first, _, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return 0, 0, fmt.Errorf("content range %q", s)
	}
	if from, err = strconv.ParseInt(first, 10, 64); err != nil {
		return 0, 0, err
	}
	if size == "*" {
		return from, -1, nil
	}
	total, err = strconv.ParseInt(size, 10, 64)
	return from, total, err
}

func (g *getter) copy(body io.Reader, stall *time.Timer) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			stall.Reset(g.Stall)
			if _, err := g.Into.Write(buf[:n]); err != nil {
				return err
			}
			g.sum.Write(buf[:n])
			g.have += int64(n)
			g.tell()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if g.total >= 0 && g.have != g.total {
		return fmt.Errorf("%d of %d bytes: %w", g.have, g.total, io.ErrUnexpectedEOF)
	}
	return nil
}

// tell reports each tenth of a file of a known and not small size.
func (g *getter) tell() {
	if g.total < 4<<20 {
		return
	}
	if tenth := 10 * g.have / g.total; tenth > g.told {
		g.told = tenth
		g.Progress(fmt.Sprintf("%d of %d MiB", g.have>>20, g.total>>20))
	}
}

// newClient builds a client of our own: the default one reads proxies from
// the environment and follows redirects anywhere.
func newClient(r Request) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: DefaultStall,
			TLSClientConfig:       &tls.Config{RootCAs: r.Roots, MinVersion: tls.VersionTLS12},
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			first := via[0].URL
			switch {
			case len(via) > 5:
				return errFinal{errors.New("more than 5 redirects")}
			case next.URL.Host != first.Host:
				return errFinal{errors.New("redirect to another host")}
			case first.Scheme == "https" && next.URL.Scheme != "https":
				return errFinal{errors.New("redirect from https to " + next.URL.Scheme)}
			}
			return nil
		},
	}
}

// scrub returns err without the secret: if its text holds it, the text alone
// is kept.
func scrub(err error, secret string) error {
	if err == nil || secret == "" || !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "…"))
}
