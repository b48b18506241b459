package jail

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// conf is the jail's /run/emulab/jail.conf. Nothing in it is secret.
func (h *Host) conf(r Record, w Wish, missing []string) []byte {
	var b bytes.Buffer
	for _, kv := range [...]struct{ key, value string }{
		{"VNODEID", r.VNode},
		{"HOSTNAME", w.Hostname},
		{"DOMAIN", w.Domain},
		{"PID", w.Status.PID},
		{"EID", w.Status.EID},
		{"NICKNAME", w.Status.NickName},
		{"SSHDPORT", strconv.Itoa(r.SSHDPort)},
		{"JAILIP", r.inside().String()},
		{"SHAREDIP", r.shared()},
		{"SSHDADDRS", r.sshdAddresses(w)},
		{"CTRLIF", "eth0"},
		{"GATEWAY", h.Network.Gateway.String()},
		{"WEBSERVER", h.Site.Web},
		{"BOSSNAME", h.Tmcd.Boss.Name},
		{"GRACE", h.Site.graceSeconds()},
		{"BOOTSERIAL", strconv.Itoa(r.Boot)},
		{"ALIASES", w.aliasesAsked()},
		{"NOTPROVIDED", strings.Join(missing, ", ")}, // for the boot's summary
	} {
		fmt.Fprintf(&b, "%s=%s\n", kv.key, shellQuote(kv.value))
	}
	return b.Bytes()
}

// aliasesAsked is "asked" where all aliases that tmcd has are the jail's.
func (w Wish) aliasesAsked() string {
	if w.AliasesAsked {
		return "asked"
	}
	return ""
}

// shared is the address that the jail has in common with the host, for those
// who tell others where they are; empty: the jail's is its own.
func (r Record) shared() string {
	if r.Private.IsValid() {
		return r.Address
	}
	return ""
}

// maxListens is how many sockets sshd listens on at most (MAX_LISTEN_SOCKS); with
// more addresses it would not start.
const maxListens = 16

// sshdAddresses are where the jail's sshd listens, if not at the wildcard: at its
// own address and those in experiments (jail.md §2.5, 16). A jail that shares the
// host's has the wildcard, unless INADDRANY=0 makes that the primary one (§2.4,
// IPADDRS); and so has one with more addresses than sshd can do.
func (r Record) sshdAddresses(w Wish) string {
	if w.sharesAddress() && w.Jail.InAddrAny || len(w.Jail.IPAddrs) >= maxListens {
		return ""
	}
	words := []string{r.inside().String()}
	for _, a := range w.Jail.IPAddrs {
		if !slices.Contains(words, a.String()) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, " ")
}

// shellQuote quotes for sh. Boss's words are data, whatever they contain.
func shellQuote(s string) string {
	out := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			continue
		case c == '"' || c == '\\' || c == '$' || c == '`':
			out = append(out, '\\', c)
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
}
