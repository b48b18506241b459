package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// floods are what one jail does to the others.
var floods = [...]string{"silent", "drip", "ask"}

// flooders is how many connections a jail may have.
const flooders = 256

// flood: an honest jail's latency, at the percentile, while another one floods,
// against that without; the worst of all floods. Quiet and flooded turns
// alternate. The flood comes from a process of its own.
func flood(b *bench, percent int) (float64, error) {
	tmcd, err := b.bare()
	if err != nil {
		return 0, err
	}
	defer tmcd.stop()
	d, err := b.openDoor(tmcd.addr, 2, nil)
	if err != nil {
		return 0, err
	}
	defer d.close()
	honest := func(int) (string, string) { return "unix", d.paths[0] }
	worst := 0.0
	for _, kind := range floods {
		var calm, flooded []asked
		for range 5 {
			x, err := askAll(honest, 1, lap)
			if err != nil {
				return 0, err
			}
			stop, err := startFlood(kind, d.paths[1])
			if err != nil {
				return 0, err
			}
			y, err := askAll(honest, 1, lap)
			stop()
			if err != nil {
				return 0, err
			}
			calm, flooded = append(calm, x), append(flooded, y)
		}
		at := func(a asked) float64 { return float64(a.at(percent).Microseconds()) / 1000 }
		ratio := median(ratios(flooded, calm, at))
		b.note("flood_p%d: %s: %.3f ms, without %.3f ms: %.2f", percent, kind, median(each(flooded, at)), median(each(calm, at)), ratio)
		worst = max(worst, ratio)
	}
	return worst, nil
}

// startFlood starts this program's flooder and waits until it is at it.
func startFlood(kind, path string) (stop func(), err error) {
	cmd := exec.Command("/proc/self/exe", "peer", "flood", kind, path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		stop()
		return nil, errors.Join(errors.New("flood doesn't begin"), err)
	}
	return stop, nil
}

// flooder floods until it is killed: connections that say nothing, connections
// that say a byte a second, or one question after the other on each.
func flooder(kind, path string) error {
	var begun sync.WaitGroup
	begun.Add(flooders)
	for range flooders {
		go func() {
			var once sync.Once
			for {
				_ = oneFlood(kind, path, func() { once.Do(begun.Done) }) // it is turned away now and then
			}
		}()
	}
	begun.Wait()
	fmt.Println("flooding")
	select {}
}

func oneFlood(kind, path string, begun func()) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	begun()
	switch kind {
	case "ask":
		if _, err := io.WriteString(c, "VERSION=40 status "); err != nil {
			return err
		}
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			return err
		}
	case "drip":
		for _, letter := range "VERSION=40 status " {
			if _, err := io.WriteString(c, string(letter)); err != nil {
				return err
			}
			time.Sleep(time.Second)
		}
	}
	_, err = io.Copy(io.Discard, c)
	return err
}
