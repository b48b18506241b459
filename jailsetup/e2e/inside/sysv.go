//go:build linux

package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Flags and commands of System V IPC (linux/ipc.h).
const (
	ipcCreate = 0o1600 // and mode
	ipcRemove = 0
)

// object is a kind of System V objects.
type object struct {
	name   string
	get    uintptr // the call that makes or finds one
	arg    uintptr // its size, or how many it holds; message queues have none
	remove func(id uintptr) error
}

func objects() []object {
	do := func(nr, a, b, c uintptr) error {
		if _, _, errno := syscall.Syscall(nr, a, b, c); errno != 0 {
			return errno
		}
		return nil
	}
	return []object{
		{"shm", unix.SYS_SHMGET, 4096, func(id uintptr) error { return do(unix.SYS_SHMCTL, id, ipcRemove, 0) }},
		{"sem", unix.SYS_SEMGET, 1, func(id uintptr) error { return do(unix.SYS_SEMCTL, id, 0, ipcRemove) }},
		{"msg", unix.SYS_MSGGET, 0, func(id uintptr) error { return do(unix.SYS_MSGCTL, id, ipcRemove, 0) }},
	}
}

// open makes or finds the object of that key.
func (o object) open(key, flags uintptr) (id uintptr, err error) {
	var errno syscall.Errno
	if o.name == "msg" {
		id, _, errno = syscall.Syscall(o.get, key, flags, 0)
	} else {
		id, _, errno = syscall.Syscall(o.get, key, o.arg, flags)
	}
	if errno != 0 {
		return 0, errno
	}
	return id, nil
}

// sysv makes and removes an object of each kind.
func sysv() error {
	var tries []func() error
	for _, o := range objects() {
		tries = append(tries, func() error {
			id, err := o.open(0, ipcCreate) // key 0: nobody else's
			if err == nil {
				err = o.remove(id)
			}
			return err
		})
	}
	return alike(tries...)
}

// sysvKey is a key that two jails agree on.
const sysvKey = 0x656d75

// trySysV makes objects that stay ("make"), or says of each kind whether there
// is one ("find").
func trySysV(args []string) error {
	if len(args) != 1 {
		return errors.New("want make or find")
	}
	flags := uintptr(0)
	if args[0] == "make" {
		flags = ipcCreate
	}
	for _, o := range objects() {
		_, err := o.open(sysvKey, flags)
		fmt.Println(o.name, outcome(err))
	}
	return nil
}
