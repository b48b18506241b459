package answer

import (
	"strings"
	"time"

	"emujail/tmcd-mock/testbed"
)

// tmccTest answers tests of clients.
func (c *call) tmccTest() {
	words := strings.Fields(c.args)
	test := firstWord(c.args)
	switch {
	case test == "noreply":
	case c.q.Transport == UDP:
		c.linef("no such UDP test")
	case test == "delayreply" && len(words) > 1:
		n := testbed.Atoi(words[1])
		if n < 1 || n > 19 {
			c.linef("bogus delay value")
			return
		}
		c.pauses = []Pause{{0, time.Duration(n) * time.Second}}
		c.linef("replied after %d seconds", n)
	case test == "splitreply":
		c.splitReply()
	default:
		c.linef("no such TCP test")
	}
}

// splitReply sends four pieces, with growing waits between them.
func (c *call) splitReply() {
	const piece = 512
	for i, digit := range []string{"1", "2", "4", "0"} {
		if i > 0 {
			c.pauses = append(c.pauses, Pause{len(c.out), time.Second << (i - 1)})
		}
		c.out = append(c.out, strings.Repeat(digit, piece)...)
	}
	c.out[len(c.out)-1] = '\n'
}
