package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func initctlRequest(magic, command, level uint32, size int) []byte {
	b := make([]byte, 0, initctlSize)
	for _, n := range []uint32{magic, command, level} {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return append(b, make([]byte, initctlSize)...)[:size]
}

func TestParseInitctl(t *testing.T) {
	tests := []struct {
		name string
		b    []byte
		want syscall.Signal
	}{
		{"reboot", initctlRequest(initctlMagic, 1, '6', 384), sigReboot},
		{"halt", initctlRequest(initctlMagic, 1, '0', 384), sigPowerOff},
		{"single user", initctlRequest(initctlMagic, 1, '1', 384), 0},
		{"another command", initctlRequest(initctlMagic, 2, '6', 384), 0},
		{"wrong magic", initctlRequest(1, 1, '6', 384), 0},
		{"cut", initctlRequest(initctlMagic, 1, '6', 383), 0},
		{"empty", nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseInitctl(tt.b); got != tt.want || ok != (tt.want != 0) {
				t.Errorf("got %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func TestInitctlPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "initctl")
	if err := os.WriteFile(path, []byte("in the way"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := openInitctl(path)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode() != os.ModeNamedPipe|0o600 {
		t.Errorf("%v, %v; want a pipe for root only", st.Mode(), err)
	}
	orders, done := make(chan syscall.Signal, 4), make(chan struct{})
	go func() {
		defer close(done)
		readInitctl(f, func(s syscall.Signal) { orders <- s })
	}()
	for _, b := range [][]byte{[]byte("nonsense"), initctlRequest(initctlMagic, 1, '6', 384)} {
		if err := os.WriteFile(path, b, 0); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case s := <-orders:
		if s != sigReboot {
			t.Errorf("order %v, want reboot", s)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no order came")
	}
	f.Close()
	<-done
}
