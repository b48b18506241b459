// Package verify holds the rows of the specification (jail.md §5, peers.md §8)
// against a jail that runs: of each it says whether the wall stands, and by
// which feature of the kernel. It is `jailsetup verify`.
//
// The jail's root is hostile. So what can be seen from outside is looked at
// from outside: the mount table, namespaces and their owners, credentials and
// cgroups of the jail's processes, the host's filters, BPF programs, modes of
// files ([Look]). What can be seen from inside only, which calls the system call
// filter refuses, is asked of `injail walls` in the jail: a jail that lies can
// hide a missing filter from that, nothing else. Each result says which side
// saw it.
//
// Nothing is changed: an attempt is one that does nothing if it succeeds. Rows
// that need a jail of their own (a kill, a crash, a hundred boots) are skipped,
// with the reason; `make security` has them.
package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Outcome is what became of a row.
type Outcome string

// The outcomes.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Result is one row's.
type Result struct {
	Row     string  `json:"row"`
	Outcome Outcome `json:"outcome"`
	Saw     string  `json:"saw"`                  // or why it wasn't looked at
	Carrier string  `json:"carried_by,omitempty"` // the kernel's feature
	Side    string  `json:"side,omitempty"`       // outside, inside, outside and inside
}

// row is one property: how it is seen, and what carries it.
type row struct {
	id, holds string // what is said if it passes
	carrier   string
	outside   func(*Facts) error
	inside    []string // attempts that must be refused; of injail walls
	either    bool     // what one side sees is enough
	skip      string   // why it isn't looked at
}

// Inside is what came of the attempts in the jail: the errors' names by
// attempt, "ok" for one that succeeded.
type Inside struct {
	Came map[string]string
	Err  error // nobody answered
}

// maxAttempts and maxWord bound what a jail may say.
const (
	maxAttempts = 200
	maxWord     = 40
)

// ParseInside reads what `injail walls` has printed. It is the jail's word:
// lines that aren't NAME WORD of few plain letters are an error.
func ParseInside(text string) (map[string]string, error) {
	came := map[string]string{}
	for line := range strings.Lines(text) {
		name, word, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok || !plain(name) || !plain(word) || len(came) >= maxAttempts {
			return nil, fmt.Errorf("injail walls: line %q: want an attempt and what came of it", fmt.Sprintf("%.80q", line))
		}
		came[name] = word
	}
	return came, nil
}

func plain(s string) bool {
	return s != "" && len(s) <= maxWord && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":_-", r))
	}) < 0
}

// Rows holds all rows against what was seen, in the order of the specification.
func Rows(f *Facts, in Inside) []Result {
	var all []Result
	for _, r := range slices.Concat(jailRows(), peerRows()) {
		all = append(all, r.judge(f, in))
	}
	return all
}

// errNothing says that there is nothing to look at, and why.
type errNothing struct{ why string }

// Error implements error.
func (e errNothing) Error() string { return e.why }

// judge is what became of the row. What is seen outside fails it whatever the
// jail says, unless either side is enough.
func (r row) judge(f *Facts, in Inside) Result {
	if r.skip != "" {
		return Result{Row: r.id, Outcome: Skip, Saw: r.skip}
	}
	err := r.outside(f)
	if nothing := (errNothing{}); errors.As(err, &nothing) {
		return Result{Row: r.id, Outcome: Skip, Saw: nothing.why}
	}
	res := Result{Row: r.id, Outcome: Pass, Saw: r.holds, Carrier: r.carrier, Side: "outside"}
	if err != nil {
		res.Outcome, res.Saw = Fail, err.Error()
	}
	if len(r.inside) == 0 {
		return res
	}
	wrong, unasked := in.refused(r.inside)
	switch {
	case unasked != nil && r.either && err != nil:
		return Result{Row: r.id, Outcome: Skip, Saw: unasked.Error()}
	case unasked != nil: // what was seen outside stands
	case r.either && err == nil:
	case r.either && wrong == "":
		res.Outcome, res.Saw, res.Side = Pass, r.holds, "inside"
	case wrong != "":
		if res.Outcome == Fail {
			wrong = res.Saw + "; " + wrong
		}
		res.Outcome, res.Saw, res.Side = Fail, wrong, "outside and inside"
	default:
		res.Side = "outside and inside"
	}
	return res
}

// no are the kernel's words for no. A file system that can't be written, a
// device that isn't there and a mount that isn't the caller's are refusals too.
func no() []string {
	return []string{"EPERM", "EACCES", "ENOSYS", "EROFS", "ENOENT", "EINVAL", "ENODEV", "ETXTBSY", "empty", "EAFNOSUPPORT", "EADDRNOTAVAIL", "EBUSY"}
}

// strict are attempts for which EINVAL and the like would mean that nobody
// refused: their arguments do nothing.
func strict() []string {
	return []string{"bpf", "perf_event_open", "userfaultfd", "io_uring", "open_by_handle_at", "syslog", "add_key", "keyctl", "kexec", "init_module",
		"delete_module", "swapon", "clock", "mknod", "socket:vsock", "socket:alg", "sethostname", "nice"}
}

// refused names the first attempt that wasn't.
func (in Inside) refused(names []string) (wrong string, err error) {
	if in.Err != nil {
		return "", fmt.Errorf("the jail was asked, but %w", in.Err)
	}
	for _, name := range names {
		came, ok := in.Came[name]
		if !ok {
			return "", fmt.Errorf("the jail's injail doesn't try %s: it is of another version", name)
		}
		words := no()
		if slices.Contains(strict(), name) {
			words = []string{"EPERM", "EACCES", "ENOSYS"}
		}
		if !slices.Contains(words, came) {
			return fmt.Sprintf("inside, %s is not refused: %s", name, came), nil
		}
	}
	return "", nil
}

// Failed counts rows that failed.
func Failed(all []Result) (n int) {
	for _, r := range all {
		if r.Outcome == Fail {
			n++
		}
	}
	return n
}

// Line is a result for people: "S4  pass  outside  …  (mount namespace)".
func (r Result) Line() string {
	line := fmt.Sprintf("%s\t%s\t%s\t%s", r.Row, r.Outcome, cmp.Or(r.Side, "-"), r.Saw)
	if r.Carrier != "" {
		line += "  (" + r.Carrier + ")"
	}
	return line
}
