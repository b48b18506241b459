package answer

import (
	"strings"
	"time"
)

// tmccTest answers tests of clients. The test is what the text begins with.
func (c *call) tmccTest() {
	delay, isDelay := strings.CutPrefix(c.args, "delayreply")
	switch {
	case strings.HasPrefix(c.args, "noreply"):
	case isDelay:
		n, ok := scanInt(delay)
		if !ok || n < 0 || n > 19 {
			c.linef("bogus delay value")
			return
		}
		if n > 0 {
			c.pauses = []Pause{{0, time.Duration(n) * time.Second}}
		}
		c.linef("replied after %d seconds", n)
	case c.q.Transport == UDP:
		c.linef("no such UDP test")
	case strings.HasPrefix(c.args, "splitreply"):
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
