package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// TestInOrder: the supervisor hears of the vnodes in their order, of as many at a
// time as the site says, and of all, though some fail.
func TestInOrder(t *testing.T) {
	for _, most := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("boots_at_once %d", most), func(t *testing.T) {
			dir := t.TempDir()
			site := jail.Site{State: dir, Run: dir, BootsAtOnce: most}
			l, err := net.Listen("unix", site.ServeSocket())
			if err != nil {
				t.Fatal(err)
			}
			var tasks []task
			var want []string
			for i := range 40 {
				want = append(want, fmt.Sprintf("pcvm1-%d", i+1))
				tasks = append(tasks, task{supervise.VerbBoot, want[i]})
			}
			s := &slow{t: t, most: max(most, 1)}
			served := make(chan struct{})
			go func() {
				defer close(served)
				s.serve(l)
			}()
			err = doAll(t.Context(), site, tasks, io.Discard)
			l.Close()
			<-served
			if err == nil || !strings.HasPrefix(err.Error(), "20 of 40 vnodes failed: cannot boot pcvm1-") {
				t.Errorf("doAll: %v", err)
			}
			if !slices.Equal(s.heard, want) {
				t.Errorf("in the order %v", s.heard)
			}
		})
	}
}

// slow is a supervisor that answers when it has heard of most vnodes, and refuses
// every other one.
type slow struct {
	t     *testing.T
	most  int
	heard []string
}

func (s *slow) serve(l net.Listener) {
	var held []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		line, err := bufio.NewReader(c).ReadBytes('\n')
		var req supervise.Request
		if err == nil {
			err = json.Unmarshal(line, &req)
		}
		if err != nil {
			s.t.Error(err)
		}
		s.heard = append(s.heard, req.VNode)
		if held = append(held, c); len(held) < s.most && len(s.heard) < 40 {
			continue
		}
		for i, c := range held {
			reply := `{"done":true}`
			if (len(s.heard)-len(held)+i)%2 == 0 {
				reply = `{"done":true,"code":1,"error":"no"}`
			}
			if _, err := fmt.Fprintln(c, reply); err != nil {
				s.t.Error(err)
			}
			c.Close()
		}
		held = nil
	}
}
