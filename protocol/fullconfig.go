package protocol

import (
	"bytes"
	"fmt"
)

// Block is one command's reply inside a fullconfig.
type Block struct {
	Command string
	Body    []byte
}

// SplitFullConfig takes the reply to fullconfig apart: each block is the line
// "*** name", the reply, and the same line again (jail.md §2.2). Bodies are parts
// of b, not copies. The error names the line where a block is missing or open;
// the blocks before it are returned.
func SplitFullConfig(b []byte) ([]Block, error) {
	var blocks []Block
	for line := 1; len(b) > 0; {
		head, rest, whole := bytes.Cut(b, []byte{'\n'})
		name, isHead := bytes.CutPrefix(head, []byte("*** "))
		if !whole || !isHead || len(name) == 0 {
			return blocks, &LineError{line, fmt.Errorf("no block begins with %q", clip(string(head)))}
		}
		mark := b[:len(head)+1]
		end := closing(rest, mark)
		if end < 0 {
			return blocks, &LineError{line, fmt.Errorf("block %q is not closed", clip(string(name)))}
		}
		if len(blocks) == MaxLines {
			return blocks, ErrTooManyLines
		}
		blocks = append(blocks, Block{string(name), rest[:end:end]})
		b = rest[end+len(mark):]
		line += 2 + bytes.Count(rest[:end], []byte{'\n'})
	}
	return blocks, nil
}

// closing is where mark stands in b at the start of a line or, after a body that
// doesn't end its last line, anywhere; -1 if nowhere.
func closing(b, mark []byte) int {
	if bytes.HasPrefix(b, mark) {
		return 0
	}
	for from := 0; ; {
		i := bytes.Index(b[from:], mark)
		if i < 0 {
			return bytes.Index(b, mark)
		}
		if at := from + i; b[at-1] == '\n' {
			return at
		}
		from += i + 1
	}
}

// AppendFullConfig renders blocks as the reply to fullconfig.
func AppendFullConfig(dst []byte, blocks []Block) []byte {
	for _, block := range blocks {
		dst = appendMark(dst, block.Command)
		dst = append(dst, block.Body...)
		dst = appendMark(dst, block.Command)
	}
	return dst
}

func appendMark(dst []byte, name string) []byte {
	dst = append(dst, "*** "...)
	dst = append(dst, name...)
	return append(dst, '\n')
}
