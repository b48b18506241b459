//go:build linux

package main

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

func archCalls() []call {
	return []call{
		{"iopl", raw(unix.SYS_IOPL, 3)},
		{"ioperm", raw(unix.SYS_IOPERM, 0x80, 1, 1)},
		{"32-bit:packet", thirtyTwoBit},
	}
}

// thirtyTwoBit opens a packet socket by the other entry into the kernel, where
// a filter that knows one architecture only doesn't look: a 32-bit program of
// a few instructions, whose exit status is the error.
func thirtyTwoBit() error {
	code := []byte{
		0xb8, 0x67, 0x01, 0x00, 0x00, // mov eax, 359 (socket)
		0xbb, 0x11, 0x00, 0x00, 0x00, // mov ebx, AF_PACKET
		0xb9, 0x03, 0x00, 0x00, 0x00, // mov ecx, SOCK_RAW
		0x31, 0xd2, // xor edx, edx
		0xcd, 0x80, // int 0x80
		0x89, 0xc3, 0xf7, 0xdb, // mov ebx, eax; neg ebx
		0x31, 0xc0, 0x40, // xor eax, eax; inc eax (exit)
		0xcd, 0x80,
	}
	const base, head = 0x08048000, 52 + 32
	b := make([]byte, 0, head+len(code))
	b = append(b, 0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1)
	b = append(b, make([]byte, 9)...)
	half := func(v uint16) { b = binary.LittleEndian.AppendUint16(b, v) }
	word := func(v uint32) { b = binary.LittleEndian.AppendUint32(b, v) }
	half(uint16(elf.ET_EXEC))
	half(uint16(elf.EM_386))
	for _, v := range []uint32{1, base + head, 52, 0, 0} {
		word(v)
	}
	for _, v := range []uint16{52, 32, 1, 0, 0, 0} {
		half(v)
	}
	size := uint32(head + len(code))
	for _, v := range []uint32{uint32(elf.PT_LOAD), 0, base, base, size, size, uint32(elf.PF_R | elf.PF_X), 0x1000} {
		word(v)
	}
	const path = "/root/small"
	if err := os.WriteFile(path, append(b, code...), 0o755); err != nil {
		return err
	}
	err := exec.Command(path).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if exit.ExitCode() < 0 {
		return errors.New("killed: " + exit.String())
	}
	return syscall.Errno(exit.ExitCode())
}
