package main

import (
	"bytes"
	"testing"
)

func TestVisible(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "plain, with\ttab\nand line\n", "plain, with\ttab\nand line\n"},
		{"letters of the world", "Grüße, 世界\n", "Grüße, 世界\n"},
		{"colour", "\x1b[31mred", `\x1b[31mred`},
		{"carriage return hides", "secret\rpublic", `secret\x0dpublic`},
		{"bell, nul, delete", "\a\x00\x7f", `\x07\x00\x7f`},
		{"8-bit control of UTF-8", "a\u009b31m", `a\xc2\x9b31m`},
		{"override of direction", "a\u202eb", `a\xe2\x80\xaeb`},
		{"no UTF-8", "\xff\xfe", `\xff\xfe`},
		{"cut character", "caf\xc3", `caf\xc3`},
		{"a real replacement character", "\ufffd", "\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for size := 1; size <= len(tt.in); size++ { // cut anywhere, it is the same
				var b bytes.Buffer
				v := &visible{w: &b}
				for rest := []byte(tt.in); len(rest) > 0; {
					n := min(size, len(rest))
					if wrote, err := v.Write(rest[:n]); wrote != n || err != nil {
						t.Fatal(wrote, err)
					}
					rest = rest[n:]
				}
				v.flush()
				if b.String() != tt.want {
					t.Errorf("in pieces of %d: %q, want %q", size, b.String(), tt.want)
				}
			}
		})
	}
}
