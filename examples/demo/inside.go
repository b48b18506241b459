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
	"path/filepath"
	"strings"
	"time"
)

// innerPath is where the demo puts itself in a jail, to do there what no
// program of the jail does: speak raw bytes, look at every file.
const innerPath = "/tmp/demo"

// inside is this program in a jail:
//
//	inside ask SOCKET BYTES   send the bytes as they are, print the answer
//	inside connect ADDR:PORT  exit 0 if a TCP connection opens
//	inside find WORD          print every file that holds the word
func inside(args []string) int {
	err := errors.New("inside: ask SOCKET BYTES | connect ADDR:PORT | find WORD")
	switch {
	case len(args) == 3 && args[0] == "ask":
		err = ask(args[1], args[2])
	case len(args) == 2 && args[0] == "connect":
		err = connect(args[1])
	case len(args) == 2 && args[0] == "find":
		err = find("/", args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const insideTimeout = 3 * time.Second

func ask(socket, request string) error {
	c, err := net.DialTimeout("unix", socket, insideTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(insideTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, c)
	return err
}

func connect(addr string) error {
	c, err := net.DialTimeout("tcp", addr, insideTimeout)
	if err != nil {
		return err
	}
	return c.Close()
}

// maxFind is how much of a file is looked at: secrets are small.
const maxFind = 1 << 20

// find walks everything but the kernel's own file systems. Its own memory and
// command line hold the word, so /proc is left out.
func find(root, word string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // masked, or not there any more
		}
		if path == "/proc" || path == "/sys" || path == "/dev" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || path == innerPath {
			return nil
		}
		// In the shared /usr only the planted names can matter; reading all of
		// it would take minutes.
		if strings.HasPrefix(path, "/usr/") && !strings.HasPrefix(path, "/usr/local/") && !strings.Contains(path, "emujail-demo") {
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		data, _ := io.ReadAll(io.LimitReader(f, maxFind))
		if bytes.Contains(data, []byte(word)) {
			fmt.Println(path)
		}
		return nil
	})
}
