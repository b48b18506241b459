package testbed

import (
	"bytes"
	"errors"
	"runtime"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// bigFile is the size from which on a file is parsed in pieces: the parser's
// time grows with the square of a mapping's keys.
const bigFile = 64 << 10

// parse gives the top-level mapping of a file, nil if it is empty.
func (r *reader) parse(b []byte) ast.Node {
	if len(b) >= bigFile {
		if root := parsePieces(b); root != nil {
			return root
		}
	}
	f, err := parser.ParseBytes(b, parser.Mode(0), parser.AllowDuplicateMapKey())
	if err != nil {
		line, msg := 1, err.Error()
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			line, msg = syntax.Token.Position.Line, syntax.Message
		}
		r.fail(line, "expected YAML: %s", msg)
		return nil
	}
	var root ast.Node
	for _, doc := range f.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			r.failAt(doc.Body, "expected one document, not several separated by ---")
		default:
			root = doc.Body
		}
	}
	return root
}

// piece is a part of a file that is YAML by itself: whole keys of the top
// level, or some keys of one of them below a line with its name.
type piece struct {
	text []byte
	line int      // of its first line, less one
	head int      // lines at the front that are not the file's at this place
	node ast.Node // the mapping that it is
}

// parsePieces cuts a file where that can't hurt and parses the pieces at once.
// nil: it can't be cut, or a piece is wrong; the whole will tell.
func parsePieces(b []byte) ast.Node {
	for _, mark := range []string{"\n---", "\n...", ": &", ": *", "<<:", "- &", "- *"} {
		if bytes.Contains(b, []byte(mark)) {
			return nil // anchors and documents go across pieces
		}
	}
	pieces := cut(b)
	var work sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range pieces {
		places <- struct{}{}
		work.Go(func() {
			pieces[i].parse()
			<-places
		})
	}
	work.Wait()
	return join(pieces)
}

func (p *piece) parse() {
	f, err := parser.ParseBytes(p.text, parser.Mode(0), parser.AllowDuplicateMapKey())
	if err != nil || len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return
	}
	p.node = f.Docs[0].Body
	t := p.node.GetToken()
	for t.Prev != nil {
		t = t.Prev
	}
	for ; t != nil; t = t.Next {
		if p.head == 0 || t.Position.Line > p.head {
			t.Position.Line += p.line - p.head
		} else {
			t.Position.Line += p.line
		}
	}
}

// cut makes a piece of each top-level key, and of a long one several, each
// with some of its keys below the key's own line.
func cut(b []byte) []piece {
	const few = 200 // keys of a piece
	lines := bytes.SplitAfter(b, []byte("\n"))
	var pieces []piece
	for at := 0; at < len(lines); {
		end := at + 1
		for end < len(lines) && !startsKey(lines[end], 0) {
			end++
		}
		indent := childIndent(lines[at+1 : end])
		from, keys := at, 0
		for i := at + 1; i < end; i++ {
			if indent == 0 || !startsKey(lines[i], indent) {
				continue
			}
			if keys++; keys > few {
				pieces = append(pieces, newPiece(lines, at, from, i))
				from, keys = i, 1
			}
		}
		pieces = append(pieces, newPiece(lines, at, from, end))
		at = end
	}
	return pieces
}

// newPiece is lines from to end; unless it begins there, the key's line at
// goes before them.
func newPiece(lines [][]byte, at, from, end int) piece {
	text := bytes.Join(lines[from:end], nil)
	if from == at {
		return piece{text: text, line: from}
	}
	return piece{text: append(bytes.Clone(lines[at]), text...), line: from, head: 1}
}

// startsKey: a key stands in this line, indented by exactly so much.
func startsKey(line []byte, indent int) bool {
	if len(line) <= indent || len(bytes.TrimLeft(line[:indent], " ")) > 0 {
		return false
	}
	switch line[indent] {
	case ' ', '\t', '#', '-', '\r', '\n', '}', ']', '"', '\'':
		return indent > 0 && (line[indent] == '"' || line[indent] == '\'')
	}
	return true
}

// childIndent is the indentation of the first line with anything in it.
func childIndent(lines [][]byte) int {
	for _, l := range lines {
		trimmed := bytes.TrimLeft(l, " ")
		if len(bytes.TrimSpace(trimmed)) > 0 && trimmed[0] != '#' {
			return len(l) - len(trimmed)
		}
	}
	return 0
}

// join makes one mapping of all pieces; those of one key are put together.
func join(pieces []piece) ast.Node {
	var root *ast.MappingNode
	var last *ast.MappingNode // the value of the key that the next piece may go on with
	for i := range pieces {
		p := &pieces[i]
		if p.node == nil {
			if len(bytes.TrimSpace(stripComments(p.text))) == 0 {
				continue
			}
			return nil
		}
		m, ok := p.node.(*ast.MappingNode)
		if !ok || len(m.Values) != 1 {
			return nil
		}
		value, isMap := m.Values[0].Value.(*ast.MappingNode)
		switch {
		case p.head > 0 && isMap && last != nil:
			last.Values = append(last.Values, value.Values...)
			continue
		case p.head > 0:
			return nil
		case root == nil:
			root = m
		default:
			root.Values = append(root.Values, m.Values...)
		}
		last = value
	}
	if root == nil {
		return nil
	}
	return root
}

func stripComments(b []byte) []byte {
	var out []byte
	for _, l := range bytes.SplitAfter(b, []byte("\n")) {
		if !bytes.HasPrefix(bytes.TrimSpace(l), []byte("#")) {
			out = append(out, l...)
		}
	}
	return out
}
