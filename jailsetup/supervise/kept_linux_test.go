package supervise

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/jail"
)

// doorIn makes a supervisor and a door with sockets in dir.
func doorIn(t *testing.T, m manager) (*Supervisor, *door, string) {
	t.Helper()
	dir := t.TempDir()
	s := &Supervisor{
		host: &jail.Host{Site: jail.Site{Run: dir, State: dir}}, log: slog.New(slog.DiscardHandler),
		doors: map[string]*door{}, manager: m,
	}
	d := &door{vnode: "pcvm1-1"}
	if err := s.furnish(d, dir, sockets{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.group.Wait() })
	t.Cleanup(func() { d.close() })
	return s, d, dir
}

func copyOf(t *testing.T, f *os.File) *os.File {
	t.Helper()
	c, err := duplicate(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever is offered, only the very socket that was bound for the jail is taken
// back; the rest is closed.
func TestOnlyTheRecordedSocketIsTakenBack(t *testing.T) {
	s, d, dir := doorIn(t, manager{})
	another, err := bindFile(filepath.Join(dir, "another"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer another.Close()
	connected, peer := pair(t)
	defer peer.Close()
	plain, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		vnode  string
		offer  func() *os.File
		wanted bool
	}{
		{"the one", d.vnode, func() *os.File { return copyOf(t, d.tmcc) }, true},
		{"another jail's", d.vnode, func() *os.File { return copyOf(t, another) }, false},
		{"for a jail without record", "pcvm1-2", func() *os.File { return copyOf(t, d.tmcc) }, false},
		{"a connection", d.vnode, func() *os.File { return connected }, false},
		{"a file", d.vnode, func() *os.File { return plain }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := row.offer()
			found := s.proven(row.vnode, sockets{tmcc: f})
			if (found.tmcc != nil) != row.wanted || found.console != nil {
				t.Errorf("found %+v", found)
			}
			if err := f.Close(); (err == nil) != row.wanted {
				t.Errorf("close afterwards: %v", err)
			}
		})
	}
	if err := s.unkeep(d.vnode); err != nil {
		t.Fatal(err)
	}
	if found := s.proven(d.vnode, sockets{tmcc: copyOf(t, d.tmcc)}); found.tmcc != nil {
		t.Error("taken back after the jail's end")
	}
}

func pair(t *testing.T) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
}

// A fake service manager gets the sockets, by name, and is told to drop them
// with the jail. What it kept is what is taken back.
func TestServiceManagerKeepsSockets(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	fake, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	s, d, _ := doorIn(t, manager{address})
	if err := s.manager.ready(); err != nil {
		t.Fatal(err)
	}
	kept, said := map[string]*os.File{}, []string{}
	for len(said) == 0 || said[len(said)-1] != "READY=1" {
		text, f := hear(t, fake)
		said = append(said, text)
		if name, ok := strings.CutPrefix(text, "FDSTORE=1\nFDNAME="); ok {
			kept[name] = f
		}
	}
	found := s.proven(d.vnode, sockets{kept["tmcc-pcvm1-1"], kept["console-pcvm1-1"]})
	if found.tmcc == nil || found.console == nil {
		t.Fatalf("found %+v of %q", found, said)
	}
	found.tmcc.Close()
	found.console.Close()
	if err := s.unkeep(d.vnode); err != nil {
		t.Fatal(err)
	}
	one, _ := hear(t, fake)
	two, _ := hear(t, fake)
	if got := []string{one, two}; !slices.Equal(got, []string{"FDSTOREREMOVE=1\nFDNAME=tmcc-pcvm1-1", "FDSTOREREMOVE=1\nFDNAME=console-pcvm1-1"}) {
		t.Errorf("at the jail's end it hears %q", got)
	}
}

// hear receives one datagram and the descriptor that came along.
func hear(t *testing.T, c *net.UnixConn) (string, *os.File) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf, oob := make([]byte, 512), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 {
		return string(buf[:n]), nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("%q comes with %v, %v", buf[:n], fds, err)
	}
	return string(buf[:n]), os.NewFile(uintptr(fds[0]), "kept")
}

// A door refuses descriptors before anybody can connect.
func TestDoorRefusesDescriptors(t *testing.T) {
	_, d, dir := doorIn(t, manager{})
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, jail.TmccSocket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.WriteMsgUnix([]byte("x"), unix.UnixRights(0), nil); err == nil {
		t.Error("a descriptor was sent")
	}
	var passes int
	if err := withFD(d.tmcc, func(fd int) (err error) {
		passes, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
		return err
	}); err != nil || passes != 0 {
		t.Errorf("SO_PASSRIGHTS is %d, %v", passes, err)
	}
}
