package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// mute are commands that tmcd obeys without a word.
func mute() []string {
	return []string{
		"reboot", "deltas", "state", "reset", "ready", "startstatus", "startstat", "ntpdrift", "hostkeys",
		"hostinfo", "booterrno", "bootlog", "elvindport", "tiplineinfo", "portregister",
	}
}

// talkative are commands that tmcd answers whenever it obeys them: silence
// means no.
func talkative() []string {
	return []string{"nodeid", "status", "isalive", "rusage", "watchdoginfo", "fullconfig", "creator", "routing"}
}

// tellSilence says, when nothing came, why that may be. What may rightly have
// no answer, a list that may be empty, is explained only to someone who looks:
// at a terminal, or with -d.
func (q *question) tellSilence(req protocol.Request, answered bool) {
	command, known := protocol.Lookup(req.Command)
	switch {
	case answered, known && slices.Contains(mute(), command.Name):
		return
	case !known:
		q.note("no answer to %q: tmcd has no such command", req.Command)
		return
	case !slices.Contains(talkative(), command.Name) && !q.line.Debug && !isTerminal(q.stderr):
		return
	}
	q.note("no answer to %q from %s: %s", req.Command, q.route, strings.Join(q.reasons(req, command), ", or "))
}

func (q *question) note(format string, args ...any) {
	fmt.Fprintf(q.stderr, "tmcc: %s\n", printable(fmt.Sprintf(format, args...)))
}

// reasons lists why tmcd may have said nothing, the likeliest first.
func (q *question) reasons(req protocol.Request, c protocol.Command) []string {
	var why []string
	switch {
	case req.VNodeID != "":
		why = append(why, fmt.Sprintf("%s is no vnode of this host", req.VNodeID))
	case q.route.network == client.Unix:
		why = append(why, "the jail is being taken down")
	default:
		why = append(why, "it doesn't know this machine by its address")
	}
	if c.Flags.Has(protocol.Allocated) {
		why = append(why, "the node is in no experiment")
	}
	if c.Flags.Has(protocol.RemReqSSL) && q.route.network == client.TCP {
		why = append(why, "a remote host must use TLS for this")
	}
	if c.Flags.Has(protocol.ReqTPM) {
		why = append(why, "it wants a TPM's certificate")
	}
	if !slices.Contains(talkative(), c.Name) {
		why = append(why, "there is nothing to tell")
	}
	return why
}

// isTerminal reports whether someone reads w as it is written.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
