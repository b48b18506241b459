//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFind is how much of a file is looked at: secrets are small.
const maxFind = 1 << 20

// tryFind prints every file that holds one of the words, by content, and every
// one whose name ends in a word that begins with a dot or whose name is the
// word after "name:". The kernel's own file systems are left out, and the
// contents of what is the host's below /usr and isn't new.
func tryFind(words []string) error {
	self, _ := os.Executable()
	return filepath.WalkDir("/", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // masked, or gone
		}
		if path == "/proc" || path == "/sys" {
			return fs.SkipDir
		}
		if path == self {
			return nil
		}
		shared := strings.HasPrefix(path, "/usr/") && !strings.HasPrefix(path, "/usr/local/")
		for _, w := range words {
			name, isName := strings.CutPrefix(w, "name:")
			switch {
			case isName && !shared && matches(name, d.Name()):
				fmt.Println(path)
			case !isName && d.Type().IsRegular() && (!shared || strings.Contains(path, "emujail-e2e")) && holds(path, w):
				fmt.Println(path)
			}
		}
		return nil
	})
}

func matches(pattern, name string) bool {
	ok, err := filepath.Match(pattern, name)
	return ok && err == nil
}

func holds(path, word string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, maxFind))
	return bytes.Contains(data, []byte(word))
}

// tryConnect says of each NETWORK ADDRESS pair whether something answers.
func tryConnect(args []string) error {
	if len(args)%2 != 0 {
		return errors.New("want pairs NETWORK ADDRESS")
	}
	for i := 0; i < len(args); i += 2 {
		fmt.Printf("%s %s %s\n", args[i], args[i+1], reach(args[i], args[i+1]))
	}
	return nil
}

func reach(network, addr string) string {
	const patience = 700 * time.Millisecond
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return "no"
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if strings.HasPrefix(network, "udp") {
		_, _ = io.WriteString(c, "VERSION=40 bossinfo")
		if n, err := c.Read(make([]byte, 64)); err != nil || n == 0 {
			return "no"
		}
	}
	return "yes"
}

// tryListen takes connections at an address until it is killed.
func tryListen(args []string) error {
	l, err := net.Listen("tcp", strings.Join(args, ""))
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

// tryNest makes user namespaces one in the other and says how deep it got.
func tryNest(args []string) error {
	if len(args) == 0 {
		args = []string{"0"}
	}
	var depth int
	fmt.Sscan(args[0], &depth)
	cmd := exec.Command("/proc/self/exe", "nest", fmt.Sprint(depth+1))
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if depth > 100 {
		fmt.Println("without end")
		return nil
	}
	if err := cmd.Run(); err != nil {
		fmt.Println(depth, outcome(err))
	}
	return nil
}

// tryAsk sends the words, or else its input, to tmcd through the proxy, as they
// are.
func tryAsk(args []string) error {
	c, err := net.Dial("unix", "/run/emulab/tmcc")
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	if len(args) == 0 { // bytes that no command line carries
		if _, err := io.Copy(c, os.Stdin); err != nil {
			return err
		}
	} else if _, err := io.WriteString(c, strings.Join(args, " ")); err != nil {
		return err
	}
	if w, ok := c.(*net.UnixConn); ok {
		_ = w.CloseWrite()
	}
	answer, _ := io.ReadAll(c) // a refusal resets
	fmt.Printf("%s\n", bytes.TrimSpace(answer))
	return nil
}
