package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// initctl is the pipe of the System V init. Its readers are long gone, but the
// shared /usr's reboot, halt and poweroff still write to it when they find no
// systemd: called by their full names, they work too. ("systemctl reboot" and
// "init 6" give up before that.)
const initctl = "/run/initctl"

// A request on that pipe: five fields of four bytes in the machine's order,
// then room for data that only matters to machines.
const (
	initctlSize     = 384
	initctlMagic    = 0x03091969
	initctlRunLevel = 1 // the command "change the run level"
)

// openInitctl makes the pipe, for root only, and opens both ends so that it
// never reads as ended.
func openInitctl(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("mkfifo %s: %w", path, err)
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// readInitctl gives the orders that come through the pipe until it is closed.
// What isn't a request is passed over, byte by byte to the next magic number.
func readInitctl(r io.Reader, order func(syscall.Signal)) {
	in, b := bufio.NewReaderSize(r, 2*initctlSize), make([]byte, initctlSize)
	magic := binary.NativeEndian.AppendUint32(nil, initctlMagic)
	for {
		head, err := in.Peek(len(magic))
		if err != nil {
			return
		}
		if !bytes.Equal(head, magic) {
			in.Discard(1)
			continue
		}
		if _, err := io.ReadFull(in, b); err != nil {
			return
		}
		if s, ok := parseInitctl(b); ok {
			order(s)
		}
	}
}

// parseInitctl reads a request for run level 0 or 6. Which of halt and
// power-off is meant by 0 isn't said; to a jail they are the same.
func parseInitctl(b []byte) (syscall.Signal, bool) {
	if len(b) != initctlSize || !bytes.Equal(b[:4], binary.NativeEndian.AppendUint32(nil, initctlMagic)) {
		return 0, false
	}
	if binary.NativeEndian.Uint32(b[4:]) != initctlRunLevel {
		return 0, false
	}
	switch binary.NativeEndian.Uint32(b[8:]) {
	case '0':
		return sigPowerOff, true
	case '6':
		return sigReboot, true
	}
	return 0, false
}
