package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// running is a server in a process of its own.
type running struct {
	cmd  *exec.Cmd
	addr string
}

// mock starts `tmcd-mock serve`, without a log, and waits until it says where.
func (b *bench) mock(args ...string) (*running, error) {
	file, err := b.build("./tmcd-mock")
	if err != nil {
		return nil, err
	}
	args = append([]string{"serve", "-q", "--listen", "127.0.0.1:0", "--manage", filepath.Join(b.dir, "mock.sock")}, args...)
	cmd := exec.Command(file, args...)
	var said strings.Builder
	cmd.Stderr = &said
	r, line, err := start(cmd)
	if err != nil {
		return nil, err
	}
	// tmcd-mock: serving FILE on ADDR (tcp and udp), N nodes
	_, after, found := strings.Cut(line, " on ")
	if !found {
		r.stop()
		return nil, fmt.Errorf("start tmcd-mock: it says %q: %s", line, said.String())
	}
	r.addr, _, _ = strings.Cut(after, " ")
	return r, nil
}

// start runs a server and gives the first line that it prints.
func start(cmd *exec.Cmd) (*running, string, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	return &running{cmd: cmd}, strings.TrimSpace(line), nil
}

// bare starts this program's own peer.
func (b *bench) bare(args ...string) (*running, error) {
	cmd := exec.Command("/proc/self/exe", append([]string{"peer"}, args...)...)
	cmd.Stderr = os.Stderr
	r, line, err := start(cmd)
	if err == nil {
		r.addr = line
	}
	return r, err
}

// peer is what else a measurement needs, in a process of its own, until it is
// killed: without arguments a server that accepts, reads, writes 64 bytes and
// closes; with a directory of certificates the same with TLS; or a flood.
func peer(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "flood":
		return flooder(args[1], args[2])
	case len(args) == 2:
		return securePeer(args[0], args[1])
	}
	return answerEach(func(c net.Conn) (net.Conn, error) { return c, nil })
}

// answerEach says where it listens, and answers each connection's first words
// over what open makes of it. Nobody waits for the goroutines: the process is
// killed.
func answerEach(open func(net.Conn) (net.Conn, error)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	answer := []byte(strings.Repeat("x", 63) + "\n")
	for {
		raw, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer raw.Close()
			c, err := open(raw)
			if err != nil {
				return
			}
			defer c.Close()
			var buf [1024]byte
			if _, err := c.Read(buf[:]); err == nil {
				_, _ = c.Write(answer) // the client sees what is missing
			}
		}()
	}
}

func (r *running) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // one that is gone needs none
	_ = r.cmd.Wait()
}

// cpu is the processor time that the process has used, to a hundredth of a second.
func (r *running) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// After the name in brackets: state is field 3, utime 14, stime 15 (proc_pid_stat(5)).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat: too short")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// ask sends one request and counts the answer's bytes; none is an error.
func ask(addr, request string) (int, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) { // the peer may be done
		return 0, err
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n == 0 {
		err = fmt.Errorf("no answer to %q", request)
	}
	return int(n), err
}

// rate asks for status with so many clients for a while and gives answers a second.
func rate(addr string, clients int, d time.Duration) (float64, error) {
	var answers atomic.Int64
	var first atomic.Pointer[error]
	var work sync.WaitGroup
	begun := time.Now()
	for range clients {
		work.Go(func() {
			for time.Since(begun) < d && first.Load() == nil {
				if _, err := ask(addr, "VERSION=40 status "); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				answers.Add(1)
			}
		})
	}
	work.Wait()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return float64(answers.Load()) / time.Since(begun).Seconds(), nil
}
