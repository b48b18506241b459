//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tryRob looks for so many seconds, again and again, at the descriptors of every
// process that it sees, for a directory with a file of the name in it: rob
// SECONDS NAME. It says where it found one, and how often it looked.
func tryRob(args []string) error {
	if len(args) != 2 {
		return errors.New("want SECONDS NAME")
	}
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rounds := 0
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); rounds++ {
		found, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		for _, path := range found {
			fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			err = unix.Faccessat(fd, args[1], unix.F_OK, 0)
			unix.Close(fd)
			if err == nil {
				fmt.Println("found", path)
				return nil
			}
		}
		if pid := 1; unix.PtraceSeize(pid) == nil {
			_ = unix.PtraceDetach(pid)
		}
	}
	fmt.Println("nothing in", rounds, "rounds")
	return nil
}

// tryExhaust takes what it gets of the kernel's tables, says how much that was,
// and holds it until its input ends.
func tryExhaust([]string) error {
	runtime.LockOSThread() // it changes its namespaces
	take := func(what string, open func() (int, error)) {
		n := 0
		for ; n < 100000; n++ {
			if _, err := open(); err != nil {
				fmt.Println(what, n, outcome(err))
				return
			}
		}
		fmt.Println(what, n, "without end")
	}
	take("inotify", func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC) })
	take("pty", func() (int, error) { return unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0) })
	var children []*exec.Cmd
	take("process", func() (int, error) {
		cmd := exec.Command("/bin/sleep", "1000")
		children = append(children, cmd)
		return 0, cmd.Start()
	})
	take("uts namespace", func() (int, error) {
		if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
			return 0, err
		}
		return unix.Open("/proc/thread-self/ns/uts", unix.O_RDONLY|unix.O_CLOEXEC, 0) // holds it
	})
	take("file", func() (int, error) { return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	fmt.Println("holding")
	_, _ = os.Stdin.Read(make([]byte, 1))
	for _, c := range children {
		if c.Process != nil {
			_ = c.Process.Kill()
		}
	}
	return nil
}

// trySpawn starts so many processes, says how many it got, and ends them.
func trySpawn(args []string) error {
	if len(args) != 1 {
		return errors.New("want NUMBER")
	}
	most, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var children []*exec.Cmd
	for range most {
		cmd := exec.Command("/bin/sleep", "1000")
		if cmd.Start() != nil {
			break
		}
		children = append(children, cmd)
	}
	for _, c := range children {
		_ = c.Process.Kill()
	}
	for _, c := range children {
		_ = c.Wait() // killed
	}
	fmt.Println(len(children))
	return nil
}

// trySpin computes on so many threads for so many seconds and says how much CPU
// time it got, in seconds.
func trySpin(args []string) error {
	if len(args) != 2 {
		return errors.New("want THREADS SECONDS")
	}
	threads, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(threads)
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			for time.Now().Before(end) {
			}
		})
	}
	all.Wait()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return err
	}
	fmt.Println(time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds())
	return nil
}
