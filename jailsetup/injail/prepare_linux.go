package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/hostkey"
)

// proxySocket is where tmcc's requests go (spec/protocol.md §0).
const proxySocket = "/run/emulab/tmcc"

// prepare writes what must be there before /etc/rc runs. Everything is below
// root ("" in a jail) and written beside its place and renamed, so that
// whatever a former boot or jail root left in that place is replaced, neither
// followed nor waited for. One failure doesn't keep the rest from being made:
// the jail boots as far as it gets and can be entered.
func prepare(root string, s settings) error {
	errs := []error{nameless(s)}
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{
		{"/var/emulab", 0o755}, {"/var/emulab/boot", 0o755}, {"/var/emulab/db", 0o755},
		{"/var/emulab/logs", 0o755}, {"/var/emulab/lock", 0o755},
		{"/var/log", 0o755}, {"/var/run", 0o755}, {"/var/tmp", 0o777 | os.ModeSticky},
		{"/run/sshd", 0o755}, {"/run/lock", 0o777 | os.ModeSticky},
		{"/etc/ssh", 0o755},
	} {
		errs = append(errs, makeDir(root+d.path, d.mode))
	}
	for _, f := range []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/var/emulab/boot/jailname", s.VNode + "\n", 0o644},
		{"/var/emulab/boot/nodeid", s.VNode + "\n", 0o644},
		{"/var/emulab/boot/proxypath", proxySocket, 0o644}, // without newline: an error to the original's readers, though not to ours
		{"/etc/hostname", s.Hostname + "\n", 0o644},
	} {
		if strings.TrimSpace(f.text) != "" {
			errs = append(errs, replaceFile(root+f.path, f.text, f.mode))
		}
	}
	errs = append(errs, loginRecords(root), hostsFile(root, s), sshdFile(root, strings.Fields(s.Listens)))
	_, err := hostkey.Ensure(root+"/etc/ssh", shortName(s))
	return errors.Join(append(errs, err)...)
}

func nameless(s settings) error {
	if s.VNode == "" {
		return errors.New("no vnode id, neither TMCCVNODEID nor VNODEID in " + confFile)
	}
	return nil
}

// makeDir makes a directory unless something leads to one already.
func makeDir(path string, mode os.FileMode) error {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil
	}
	if err := os.Mkdir(path, mode.Perm()); err != nil {
		return err
	}
	return os.Chmod(path, mode) // for the sticky bit
}

// replaceFile puts text at path, whole.
func replaceFile(path, text string, mode os.FileMode) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	return os.Rename(next, path)
}

// utmpGroup is Debian's number of group utmp.
const utmpGroup = 43

// loginRecords makes /run/utmp and, when the image has none, wtmp, btmp and
// lastlog: without them who, last and sshd's logout complain.
func loginRecords(root string) error {
	var errs []error
	group := groupNumber(readFile(root+"/etc/group"), "utmp", utmpGroup)
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{{"/run/utmp", 0o664}, {"/var/log/wtmp", 0o664}, {"/var/log/lastlog", 0o664}, {"/var/log/btmp", 0o660}} {
		path := root + f.path
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		errs = append(errs, replaceFile(path, "", f.mode), os.Lchown(path, 0, group))
	}
	return errors.Join(errs...)
}

// groupNumber finds a group in the text of a group file.
func groupNumber(text, name string, fallback int) int {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 4 && f[0] == name {
			if n, err := strconv.Atoi(f[2]); err == nil {
				return n
			}
		}
	}
	return fallback
}

// hostsMark ends the line of /etc/hosts that is ours.
const hostsMark = "# this jail"

// hostsFile gives the jail's own name an address: sudo waits for DNS without.
// The other lines stay; the configuration's host names come later.
func hostsFile(root string, s settings) error {
	if s.Hostname == "" {
		return nil
	}
	path := root + "/etc/hosts"
	old := readFile(path)
	text := hostsText(old, s)
	if text == old {
		return nil
	}
	return replaceFile(path, text, 0o644)
}

func hostsText(old string, s settings) string {
	addr := s.JailIP
	if addr == "" {
		addr = "127.0.1.1"
	}
	// A line for this address and name stays as it is: the configuration's
	// host names may have given the short name to another interface.
	if strings.Contains(old, addr+"\t"+s.Hostname+" ") && strings.Contains(old, hostsMark) {
		return old
	}
	var b strings.Builder
	for line := range strings.Lines(old) {
		if !strings.Contains(line, hostsMark) {
			b.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	if !strings.Contains(b.String(), "localhost") {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	}
	names := s.Hostname
	if short := shortName(s); short != s.Hostname {
		names += " " + short
	}
	fmt.Fprintf(&b, "%s\t%s %s\n", addr, names, hostsMark)
	return b.String()
}

// sshdFile has sshd listen where the host says, anew at each boot: the jail's
// addresses may have changed.
func sshdFile(root string, listens []string) error {
	path := root + "/etc/ssh/sshd_config"
	old := readFile(path)
	text := sshdText(old, listens)
	if old == "" || text == old {
		return nil
	}
	return replaceFile(path, text, 0o644)
}

// sshdText puts the addresses at the head, where no Match block is, in the place
// of all that are there.
func sshdText(old string, listens []string) string {
	var b strings.Builder
	for _, addr := range listens {
		b.WriteString("ListenAddress " + addr + "\n")
	}
	for line := range strings.Lines(old) {
		words := strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n=\"", c) })
		if len(words) == 0 || !strings.EqualFold(words[0], "ListenAddress") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// shortName is the first label of the host name, or the vnode id.
func shortName(s settings) string {
	short, _, _ := strings.Cut(s.Hostname, ".")
	if short == "" {
		return s.VNode
	}
	return short
}

// maxRead bounds the files of the jail that PID 1 reads whole, in bytes.
const maxRead = 4 << 20

// readFile is a file's text, empty when it isn't a readable plain file: PID 1
// never waits on a fifo that somebody put there.
func readFile(path string) string {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRead))
	if err != nil {
		return ""
	}
	return string(b)
}

// consoleLog opens the file that /etc/rc writes to, or /dev/null when the
// jail's disk doesn't have it.
func consoleLog(root string) *os.File {
	if f, err := openLog(root + "/var/log/console.log"); err == nil {
		return f
	}
	f, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		return os.Stderr
	}
	return f
}

// openLog opens a plain file to append to, and waits for nobody if it is
// something else. What becomes /etc/rc's output must block as files do.
func openLog(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("not a plain file")
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}
