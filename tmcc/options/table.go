// Package options is the command line of tmcc, once: a table that parsing, the
// usage line, -help, the manual page and the shell's completion are made from.
//
//	line, err := options.Parse(os.Args[1:])
//	if err != nil { … options.Usage … exit 1 }
//
// The letters and their rules are the original's, read as getopt reads them:
// clusters (-di), attached values (-p7777), options between and behind the
// words of the command, `--` to end them (booterrno -- -1). What the original
// didn't have are whole words, with one dash or two, before the command: -json,
// -proxy, -help, -version. They are recognized before getopt would take them
// for clusters.
//
// The package decides what a line means and which options exclude each other.
// It opens no file and looks at no environment: whether -k exists is for the
// command to find out.
//
// See docs/spec/protocol.md §0 and docs/design.md §5 (CLI).
package options

import (
	"net/netip"
	"time"
)

// MaxWords is the number of words that a command has at most.
const MaxWords = 5

// A Line is a parsed command line. Zero values mean that an option wasn't
// given, but for Version.
type Line struct {
	Debug    bool
	Server   string // -s, host or host:port
	Port     int    // -p
	Version  int    // -v, else protocol.Version
	VNode    string // -n
	KeyFile  string // -k
	UDP      bool
	Unix     string        // -l
	Timeout  time.Duration // -t
	DataFile string        // -f
	NoTLS    bool
	TPM      bool

	Proxy     bool           // -x, -X or -proxy
	ProxyPath string         // "" with Proxy: Inet, or sockets that were handed over
	Inet      netip.AddrPort // -X
	LogFile   string         // -o

	Bypass, Clear, NoProxyPath bool // -b -c -D

	JSON, Help, ShowVersion bool

	Words []string // command and arguments

	given [128]bool // letters seen
}

// Given reports whether the option of that letter stands on the line. -proxy
// counts as x.
func (l *Line) Given(letter byte) bool { return l.given[letter] }

// An option is a row of the table: a letter of the original's, or a word of
// ours.
type option struct {
	letter byte   // 0: a word
	word   string // "": a letter
	arg    string // name of its value; in brackets if it may be left out
	file   byte   // what completion offers as value: 'f' files, 'n' nothing
	help   string // for -help, a line
	more   string // for the manual page, after help
	set    func(l *Line, value string) error
}

// name is how the option is written.
func (o option) name() string {
	if o.word != "" {
		return "-" + o.word
	}
	return "-" + string(o.letter)
}

func (o option) takesValue() bool { return o.arg != "" && o.arg[0] != '[' }

// A group is a part of the table under its heading.
type group struct {
	title   string
	options []option
}

// table returns all options, in the order in which help shows them.
func table() []group {
	return []group{
		{"Whom to ask", whom()},
		{"What to ask", what()},
		{"The cache", cached()},
		{"Being the proxy", proxying()},
		{"Output", output()},
	}
}

func whom() []option {
	return []option{
		{letter: 's', arg: "server", file: 'n', set: setServer,
			help: "ask this server, host or host:port",
			more: "Otherwise the one named by BOSSNAME, then by the first file bossnode, then the first name server of this machine is asked. A server named here is asked itself: no proxy, no cache."},
		{letter: 'p', arg: "port", file: 'n', set: setPort,
			help: "ask at this port (else 7777, then 14447)"},
		{letter: 'l', arg: "path", file: 'f', set: setUnix,
			help: "ask through the proxy's unix socket",
			more: "In a jail the file proxypath names it, so that -l is seldom needed."},
		{letter: 'D', set: setTrue(func(l *Line) *bool { return &l.NoProxyPath }),
			help: "don't look at the file proxypath"},
		{letter: 'u', set: setTrue(func(l *Line) *bool { return &l.UDP }),
			help: "use UDP; through a proxy, let the proxy use it",
			more: "Over UDP an empty answer is no datagram at all: give -t."},
		{letter: 'i', set: setTrue(func(l *Line) *bool { return &l.NoTLS }),
			help: "don't use TLS"},
		{letter: 'T', set: setTrue(func(l *Line) *bool { return &l.TPM }),
			help: "use the TPM; this tmcc can't, and says so"},
		{letter: 't', arg: "seconds", file: 'n', set: setTimeout,
			help: "give up when nothing arrived for so long"},
	}
}

func what() []option {
	return []option{
		{letter: 'n', arg: "vnode", file: 'n', set: setVNode,
			help: "ask about this vnode of this host"},
		{letter: 'k', arg: "file", file: 'f', set: setKeyFile,
			help: "send the key in the first line of this file"},
		{letter: 'v', arg: "number", file: 'n', set: setVersion,
			help: "speak this version of the protocol (else 40)"},
		{letter: 'f', arg: "file", file: 'f', set: setDataFile,
			help: "append this file to the request"},
	}
}

func cached() []option {
	return []option{
		{letter: 'b', set: setTrue(func(l *Line) *bool { return &l.Bypass }),
			help: "bypass the cache"},
		{letter: 'c', set: setTrue(func(l *Line) *bool { return &l.Clear }),
			help: "clear the cache and fill it anew first (root only)",
			more: "Without a command that is all."},
	}
}

func proxying() []option {
	return []option{
		{letter: 'x', arg: "path", file: 'f', set: setProxy,
			help: "be the proxy of -n's jail, at a unix socket made here"},
		{word: "proxy", arg: "[path]", file: 'f', set: setProxy,
			help: "the same; without path, at sockets handed over",
			more: "They come as systemd hands them over, by LISTEN_FDS and LISTEN_FDNAMES. A descriptor named control leads to a supervisor, jailsetup serve, which sends sockets, names and servers."},
		{letter: 'X', arg: "ip:port", file: 'n', set: setInet,
			help: "be a proxy at this address (127.0.0.1 and 7778)"},
		{letter: 'o', arg: "file", file: 'f', set: setLogFile,
			help: "append the log to this file"},
	}
}

func output() []option {
	return []option{
		{letter: 'd', set: setTrue(func(l *Line) *bool { return &l.Debug }),
			help: "say on standard error what is being done"},
		{word: "json", set: setTrue(func(l *Line) *bool { return &l.JSON }),
			help: "print the reply as JSON",
			more: "Replies that have a known form become objects, whose names are those of the reply in lower case; others become an array of lines. An empty reply is null."},
		{word: "help", set: setTrue(func(l *Line) *bool { return &l.Help }),
			help: "print this"},
		{word: "version", set: setTrue(func(l *Line) *bool { return &l.ShowVersion }),
			help: "print the version"},
	}
}
