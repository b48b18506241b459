package options

import (
	"fmt"
	"strings"
)

// synopsis is the forms of the command line.
func synopsis() []string {
	return []string{
		"tmcc [options] command [words]",
		"tmcc -c [options] [command [words]]",
		"tmcc -proxy [path] [-n vnode] [options]",
	}
}

// A pair is a term and what it means.
type pair struct{ term, text string }

func environment() []pair {
	return []pair{
		{"BOSSNAME", "server to ask, host or host:port, unless -s names one"},
		{"TMCCNOSSL", "if set, to anything: -i"},
		{"TMCC_ETCDIR", "a directory to look into before those below"},
		{"LISTEN_FDS, LISTEN_FDNAMES", "sockets handed over to -proxy, from descriptor 3"},
	}
}

func files() []pair {
	return []pair{
		{"bossnode", "its first line names the server, host or host:port"},
		{"client.pem, emulab.pem", "certificate and key of this node, and the testbed's CA"},
		{"/etc/emulab/emulab-privkey", "this node's key, else /etc/emulab.pkey (see -k)"},
		{"/var/emulab/boot/proxypath", "in a jail: the proxy's socket"},
		{"/var/emulab/boot/tmcc/command", "the cache; tmcc.vnode with -n"},
		{"tmcc-full", "beside a tmcc that is built without: TLS and the proxy"},
	}
}

// fileDirs says where the first two of files lie.
const fileDirs = "bossnode and the .pem files are looked for in /etc/testbed, /etc/emulab, /etc/rc.d/testbed, /usr/local/etc/testbed and /usr/local/etc/emulab; the first directory that has one counts."

func exitCodes() []pair {
	return []pair{
		{"0", "tmcd answered, perhaps with nothing"},
		{"1", "the command line is wrong"},
		{"255", "anything else; standard error says what"},
	}
}

func examples() []pair {
	return []pair{
		{"tmcc status", "whose experiment am I in?"},
		{"tmcc bossinfo", "name and address of the server; asks nobody"},
		{"tmcc -json accounts", "accounts to make, as JSON"},
		{"tmcc -n pcvm1-1 jailconfig", "a host asks about one of its jails"},
		{"tmcc booterrno -- -1", "an argument that begins with a dash"},
		{"tmcc -proxy /run/p/tmcc -n pcvm1-1", "be that jail's proxy"},
	}
}

// Usage is what follows an error about the command line.
func Usage() string {
	var b strings.Builder
	for i, s := range synopsis() {
		lead := "usage: "
		if i > 0 {
			lead = "       "
		}
		b.WriteString(lead + s + "\n")
	}
	b.WriteString("tmcc -help says more.\n")
	return b.String()
}

// Help is what -help prints.
func Help() string {
	var b strings.Builder
	b.WriteString("tmcc asks the testbed's master control daemon, tmcd, one question.\n\n")
	for _, s := range synopsis() {
		b.WriteString("  " + s + "\n")
	}
	for _, g := range table() {
		var rows []pair
		for _, o := range g.options {
			rows = append(rows, pair{strings.TrimSpace(o.name() + " " + o.arg), o.help})
		}
		section(&b, g.title, rows)
	}
	section(&b, "Environment", environment())
	section(&b, "Files", files())
	section(&b, "Exit status", exitCodes())
	section(&b, "Examples", examples())
	return b.String()
}

// section writes rows in two columns; a long term has its text on a line of
// its own.
func section(b *strings.Builder, title string, rows []pair) {
	const width = 18
	fmt.Fprintf(b, "\n%s:\n", title)
	for _, r := range rows {
		if len(r.term) > width {
			fmt.Fprintf(b, "  %s\n  %*s  %s\n", r.term, width, "", r.text)
			continue
		}
		fmt.Fprintf(b, "  %-*s  %s\n", width, r.term, r.text)
	}
}
