package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// What both sides of the wire agree on (spec §0, §1).
const (
	Version        = 40 // the newest that the original speaks
	DefaultVersion = 2  // what a request without VERSION= means

	DefaultPort = 7777
	SecondPort  = 14447

	TLSTag = "ISPEAKSSL_TMCDV10" // sent in the clear before a TLS handshake

	MaxRequest    = 32768 // bytes over TCP
	MaxRequestTLS = 16384 // bytes in the one TLS record that tmcd reads
	MaxUDPRequest = 2047  // bytes; a longer datagram is cut and executed
	MaxUDPReply   = 8192  // bytes; a longer reply is cut

	MaxNodeID = 30 // characters of VNODEID= and PROXYFOR= that tmcd reads

	minKey = 16 // hex digits of PRIVKEY=
	maxKey = 128
)

// Why a request gets no answer, before anyone asked who sends it. tmcd itself
// says nothing in all these cases; its stand-in can log the reason.
var (
	ErrEmptyToken     = errors.New("empty word before the command")
	ErrNoCommand      = errors.New("no command after the tags")
	ErrTagPrefix      = errors.New("tag without value, or part of a tag")
	ErrNodeID         = errors.New("node id has characters outside [A-Za-z0-9_-]")
	ErrKey            = errors.New("key is not hexadecimal or shorter than 16 digits")
	ErrIDKey          = errors.New("external key is not alphanumeric")
	ErrUnknownCommand = errors.New("unknown command")
)

// blanks are what the original's scanning takes for space.
const blanks = " \t\n\v\f\r"

// Request is one request to tmcd: tags, a command, and what follows it.
type Request struct {
	Version  int    // 0: no VERSION= tag
	VNodeID  string // the host asks about this vnode
	ProxyFor string // the vnode asks through its host's proxy
	PrivKey  string // hexadecimal, 16 to 128 digits
	IDKey    string
	Redirect string // address to answer for; tmcd's own host may say so
	UseUDP   bool   // for a client's proxy only: tmcd takes USEUDP=1 for a command
	Command  string // canonical name in the table
	Word     string // the command's word as it was written; Append ignores it
	// Args are all bytes after the one space that follows the command's word:
	// arguments and body alike. HasArgs is false when that space is missing.
	Args    []byte
	HasArgs bool
}

// EffectiveVersion is the version that tmcd answers in.
func (r Request) EffectiveVersion() int {
	if r.Version == 0 {
		return DefaultVersion
	}
	return r.Version
}

// NodeID is the node that the request names, or "" if it names none. A VNODEID
// after PROXYFOR wins (spec §2).
func (r Request) NodeID() string {
	if r.VNodeID != "" {
		return r.VNodeID
	}
	return r.ProxyFor
}

// AsVNode reports whether the request comes from inside the vnode: it carries
// PROXYFOR, which sticks even when a later VNODEID changes the name.
func (r Request) AsVNode() bool { return r.ProxyFor != "" }

// ParseRequest reads a request as tmcd does (spec §2): it splits at single
// spaces, takes tags before the command only and the last of repeated ones, and
// finds the command by Lookup. Args is part of b, not a copy.
//
// Where the original goes on with memory of earlier requests (empty words, tags
// without value, parts of tags; spec §8) the result is ErrEmptyToken or
// ErrTagPrefix. Each error is, or wraps, one of the sentinels above; the Request
// then holds what was read before.
func ParseRequest(b []byte) (Request, error) {
	var r Request
	for rest := b; ; {
		token, after, more := bytes.Cut(rest, []byte{' '})
		if len(token) == 0 {
			return r, emptyToken(more)
		}
		tag, err := r.readTag(token)
		if err != nil {
			return r, err
		}
		if !tag {
			return r.finish(token, after, more)
		}
		if !more {
			return r, ErrNoCommand
		}
		rest = after
	}
}

// emptyToken tells "VERSION=40 " (nothing follows) from two spaces in a row.
func emptyToken(more bool) error {
	if more {
		return ErrEmptyToken
	}
	return ErrNoCommand
}

// finish takes the first word that is no tag for the command.
func (r Request) finish(word, args []byte, hasArgs bool) (Request, error) {
	command, ok := lookupBytes(word)
	if !ok {
		return r, fmt.Errorf("%w %q", ErrUnknownCommand, clip(string(word)))
	}
	r.Command, r.Word = command.Name, command.Name
	if len(word) != len(command.Name) || string(word) != command.Name {
		r.Word = string(word)
	}
	if hasArgs {
		r.Args, r.HasArgs = args, true
	}
	return r, nil
}

// lookupBytes is Lookup without a copy of the word.
func lookupBytes(word []byte) (Command, bool) {
	for i := range table {
		name := table[i].Name
		if len(word) >= len(name) && string(word[:len(name)]) == name {
			return table[i], true
		}
	}
	if bytes.HasPrefix(word, []byte(geniPrefix)) {
		return table[len(table)-1], true
	}
	return Command{}, false
}

// readTag reads token if it is a tag; otherwise it reports false.
func (r *Request) readTag(token []byte) (bool, error) {
	key, value, ok := bytes.Cut(token, []byte{'='})
	if !ok || len(value) == 0 {
		if isTagPrefix(token) {
			return false, fmt.Errorf("%w: %q", ErrTagPrefix, token)
		}
		return false, nil
	}
	var err error
	switch string(key) {
	case "VERSION":
		return r.readVersion(value), nil
	case "VNODEID":
		r.VNodeID, err = readNodeID(value)
	case "PROXYFOR":
		r.ProxyFor, err = readNodeID(value)
		r.VNodeID = ""
	case "PRIVKEY":
		r.PrivKey, err = readKey(value)
	case "IDKEY":
		r.IDKey, err = readIDKey(value)
	case "REDIRECT":
		r.Redirect, err = readAddress(value)
	default:
		return false, nil
	}
	return true, err
}

// isTagPrefix reports whether token is a tag without a value or a part of one:
// what the original matches with a buffer of an earlier request.
func isTagPrefix(token []byte) bool {
	for _, tag := range [...]string{"VERSION=", "VNODEID=", "PROXYFOR=", "PRIVKEY=", "IDKEY=", "REDIRECT="} {
		if len(token) <= len(tag) && string(token) == tag[:len(token)] {
			return true
		}
	}
	return false
}

// readVersion reads digits like %d of glibc, leaving junk behind them. VERSION=0 is kept
// as 1, which tmcd answers alike, since 0 means no tag here. Without a digit
// the token is no tag but the command's word.
func (r *Request) readVersion(value []byte) bool {
	value = bytes.TrimLeft(value, blanks)
	negative := false
	if len(value) > 0 && (value[0] == '-' || value[0] == '+') {
		negative = value[0] == '-'
		value = value[1:]
	}
	digits := 0
	for digits < len(value) && value[digits] >= '0' && value[digits] <= '9' {
		digits++
	}
	if digits == 0 {
		return false
	}
	n, err := strconv.ParseInt(string(value[:digits]), 10, 64)
	switch { // the original keeps the low 32 bits of a 64-bit number
	case negative && err != nil:
		n = math.MinInt64
	case negative:
		n = -n
	}
	r.Version = int(int32(n))
	if r.Version == 0 {
		r.Version = 1
	}
	return true
}

// cutSpace is what %s reads: blanks before are skipped, blanks after end it.
func cutSpace(value []byte) []byte {
	value = bytes.TrimLeft(value, blanks)
	if i := bytes.IndexAny(value, blanks); i >= 0 {
		value = value[:i]
	}
	return value
}

// readNodeID reads at most MaxNodeID characters; the rest is dropped unseen.
func readNodeID(value []byte) (string, error) {
	value = cutSpace(value)
	value = value[:min(len(value), MaxNodeID)]
	for _, c := range value {
		if !isAlnum(c) && c != '_' && c != '-' {
			return "", fmt.Errorf("%w: %q", ErrNodeID, value)
		}
	}
	if len(value) == 0 {
		return "", ErrTagPrefix
	}
	return string(value), nil
}

// readKey reads at most 128 hexadecimal digits. The key stays out of errors.
func readKey(value []byte) (string, error) {
	value = cutSpace(value)
	value = value[:min(len(value), maxKey)]
	for _, c := range value {
		if !isHex(c) {
			return "", ErrKey
		}
	}
	if len(value) < minKey {
		return "", ErrKey
	}
	return string(value), nil
}

// readIDKey reads at most as much as readKey.
func readIDKey(value []byte) (string, error) {
	value = cutSpace(value)
	value = value[:min(len(value), maxKey)]
	for _, c := range value {
		if !isAlnum(c) {
			return "", ErrIDKey
		}
	}
	if len(value) == 0 {
		return "", ErrTagPrefix
	}
	return string(value), nil
}

// readAddress reads a word of any kind: whether it is an address, and whether
// the sender may ask for it, is decided by who answers.
func readAddress(value []byte) (string, error) {
	value = cutSpace(value)
	if len(value) == 0 {
		return "", ErrTagPrefix
	}
	return string(value), nil
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// Append appends the request as the original client writes it: PROXYFOR and
// VNODEID, PRIVKEY, IDKEY, REDIRECT, USEUDP, VERSION, the command, and after one
// space Args. It writes no space after the command when HasArgs is false and
// Args is empty, which crashed many of the original's handlers: clients set HasArgs.
func (r Request) Append(dst []byte) []byte {
	dst = appendTag(dst, "PROXYFOR=", r.ProxyFor)
	dst = appendTag(dst, "VNODEID=", r.VNodeID)
	dst = appendTag(dst, "PRIVKEY=", r.PrivKey)
	dst = appendTag(dst, "IDKEY=", r.IDKey)
	dst = appendTag(dst, "REDIRECT=", r.Redirect)
	if r.UseUDP {
		dst = append(dst, "USEUDP=1 "...)
	}
	if r.Version != 0 {
		dst = append(dst, "VERSION="...)
		dst = strconv.AppendInt(dst, int64(r.Version), 10)
		dst = append(dst, ' ')
	}
	dst = append(dst, r.Command...)
	if r.HasArgs || len(r.Args) > 0 {
		dst = append(dst, ' ')
		dst = append(dst, r.Args...)
	}
	return dst
}

func appendTag(dst []byte, tag, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, tag...)
	dst = append(dst, value...)
	return append(dst, ' ')
}

// clip shortens what an error quotes of somebody else's bytes.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
