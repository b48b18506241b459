package fetch

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
)

// ErrDigest is bytes that aren't those the server meant to send.
var ErrDigest = errors.New("digest differs from the server's")

// digest is what a server says about the whole file.
type digest struct {
	name string
	new  func() hash.Hash
	want []byte
}

// serverDigest returns the best digest of the answer, or nil: Repr-Digest
// (RFC 9530, sha-256=:base64:), the older Digest (SHA-256=base64) and
// Content-MD5, in this order. What can't be decoded counts as absent.
func serverDigest(h http.Header) *digest {
	for _, field := range []string{"Repr-Digest", "Digest"} {
		for word := range strings.SplitSeq(strings.Join(h.Values(field), ","), ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
			d := &digest{name: strings.ToLower(name)}
			switch d.name {
			case "sha-256":
				d.new = sha256.New
			case "sha-512":
				d.new = sha512.New
			default:
				continue
			}
			want, err := base64.StdEncoding.DecodeString(strings.Trim(value, ":"))
			if err == nil && len(want) == d.new().Size() {
				d.want = want
				return d
			}
		}
	}
	want, err := base64.StdEncoding.DecodeString(h.Get("Content-Md5"))
	if err == nil && len(want) == md5.Size {
		return &digest{"md5", md5.New, want}
	}
	return nil
}

// check holds the whole file against the server's digest. After a partial
// answer Digest and Content-MD5 may speak of the part: only Repr-Digest, of
// the whole by definition, is used then.
func (g *getter) check(resp *http.Response) error {
	h := resp.Header
	if resp.StatusCode == http.StatusPartialContent {
		h = http.Header{"Repr-Digest": h.Values("Repr-Digest")}
	}
	d := serverDigest(h)
	if d == nil {
		return nil
	}
	sum := d.new()
	if _, err := io.Copy(sum, io.NewSectionReader(g.Into, 0, g.have)); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), d.want) {
		g.validator = ""
		return fmt.Errorf("%s: %w", d.name, ErrDigest)
	}
	return nil
}
