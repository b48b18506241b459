// Package web serves the files that a node's records name: tarballs and packages, over HTTP, at the address
// that Emulab's web server has for it.
//
//	GET /spewrpmtar?nodeid=ID&file=PATH&key=KEYHASH[&stamp=SECONDS][&md5=HEX]
//
// The node proves with the key of its experiment that it may ask; then it gets what its own rpms and
// tarballs records name, and nothing else, from below one root. A file that is no newer than stamp, or whose
// MD5 the node has already, is answered with 304. Unknown node, wrong key and a file that isn't the node's
// look alike from outside: 403.
//
// Below the root no link is followed, wherever it points, and only regular files are opened (file.go). The
// key is compared in constant time and never logged: a request's URL isn't, either.
//
// Specification: jail.md §3.6.
package web

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"emujail/tmcd-mock/store"
)

// Options say what is served to whom.
type Options struct {
	Root *os.Root // below it lie the files, at the paths that the records name
	// Records returns the files that a node's records name and the key of its experiment; an empty key
	// lets nobody in. A node that isn't known has neither.
	Records func(node string) (files []string, key string)
	Logger  *slog.Logger
	TLS     *tls.Config // nil: plain HTTP
}

// Server is a running web server.
type Server struct {
	http *http.Server
	done chan error
}

// Serve starts serving on l, and returns at once. It takes l over.
func Serve(l net.Listener, o Options) *Server {
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	s := &Server{done: make(chan error, 1)}
	s.http = &http.Server{
		Handler:           Handler(o),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Minute, // a big file over a slow link
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	go func() { s.done <- s.http.Serve(limit(l, maxConns)) }()
	return s
}

// maxConns bounds the connections at once; more wait in the kernel's queue.
const maxConns = 256

// Close ends every request and returns when the server has stopped.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Shutdown lets requests under way end first, until ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	return errors.Join(s.http.Shutdown(ctx), s.Close())
}

// Handler answers the one address there is.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/spewrpmtar", "/spewrpmtar.php3"} {
		mux.HandleFunc("GET "+path, o.spew) // HEAD comes along
	}
	return mux
}

func (o Options) spew(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	node, file := q.Get("nodeid"), q.Get("file")
	log := o.Logger.With("source", r.RemoteAddr, "vnode", store.Text(node).Escaped(false), "file", store.Text(file).Escaped(false))
	if why := o.forbidden(node, file, q.Get("key")); why != "" {
		log.Warn("file refused", "why", why)
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	f, info, err := openBelow(o.Root, file)
	if errors.Is(err, fs.ErrNotExist) {
		log.Warn("file refused", "why", "not there")
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	if err != nil {
		log.Warn("file refused", "why", err)
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	defer f.Close()
	same, err := unchanged(f, info, q.Get("stamp"), q.Get("md5"))
	if err != nil {
		log.Error("cannot read the file", "error", err)
		http.Error(w, "cannot read the file", http.StatusInternalServerError)
		return
	}
	if same {
		log.Info("file unchanged")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if err := digest(w, f); err != nil {
		log.Error("cannot read the file", "error", err)
		http.Error(w, "cannot read the file", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	log.Info("sending file", "bytes", info.Size())
	http.ServeContent(w, r, "", info.ModTime(), f)
}

// forbidden says why node may not have file, or "".
func (o Options) forbidden(node, file, key string) string {
	files, want := o.Records(node)
	// Hashes, so that not even the length shows in the time it takes.
	a, b := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(want))
	match := subtle.ConstantTimeCompare(a[:], b[:]) == 1
	switch {
	case want == "":
		return "no such node, or its experiment has no key"
	case !match:
		return "wrong key"
	case !slices.Contains(files, file):
		return "its records don't name the file"
	}
	return ""
}

// unchanged reports whether the node has this very file already.
func unchanged(f io.ReadSeeker, info fs.FileInfo, stamp, sum string) (bool, error) {
	if seconds, err := strconv.ParseInt(stamp, 10, 64); err == nil && seconds > 0 && info.ModTime().Unix() <= seconds {
		return true, nil
	}
	if len(sum) != 2*md5.Size {
		return false, nil
	}
	h := md5.New() // what nodes have recorded; change detection only
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	_, err := f.Seek(0, io.SeekStart)
	return strings.EqualFold(hex.EncodeToString(h.Sum(nil)), sum), err
}

// digest tells the client what to expect: X-Sha256, in hexadecimal.
func digest(w http.ResponseWriter, f io.ReadSeeker) error {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	w.Header().Set("X-Sha256", hex.EncodeToString(h.Sum(nil)))
	_, err := f.Seek(0, io.SeekStart)
	return err
}
