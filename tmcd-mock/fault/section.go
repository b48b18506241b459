package fault

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ParseFaults reads the section `faults:` of a testbed file: a list of rules as Parse reads them. file and
// line (of the section's key) are for messages. An empty text is an empty list.
func ParseFaults(file string, line int, text string) ([]Rule, error) {
	return parseList(file, line, text, "faults", Parse)
}

// ParseTimeline reads the section `timeline:`, a list of entries as ParseDeed reads them.
func ParseTimeline(file string, line int, text string) ([]Deed, error) {
	return parseList(file, line, text, "timeline", ParseDeed)
}

func parseList[T any](file string, line int, text, key string, parse func(string) (T, error)) ([]T, error) {
	if text == "" {
		return nil, nil
	}
	f, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return nil, fmt.Errorf("%s:%d: %s: %w", file, line, key, err)
	}
	var items []T
	for _, node := range entries(f, key) {
		at := line
		if token := node.GetToken(); token != nil {
			at += token.Position.Line - 1
		}
		text, ok := node.(ast.ScalarNode)
		if !ok {
			return nil, fmt.Errorf("%s:%d: %s: want a line of text, like %s", file, at, key, example(key))
		}
		item, err := parse(fmt.Sprint(text.GetValue()))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, at, err)
		}
		items = append(items, item)
	}
	return items, nil
}

func example(key string) string {
	if key == "timeline" {
		return `"+10s pcvm1-1 UPDATE=1"`
	}
	return `"delay command=accounts delay=2s"`
}

// entries returns the items of the list below key; the section may be the key's value alone.
func entries(f *ast.File, key string) []ast.Node {
	if len(f.Docs) == 0 || f.Docs[0].Body == nil {
		return nil
	}
	body := f.Docs[0].Body
	if m, ok := body.(*ast.MappingNode); ok && len(m.Values) == 1 {
		body = m.Values[0]
	}
	if m, ok := body.(*ast.MappingValueNode); ok && m.Key.String() == key {
		body = m.Value
	}
	switch list := body.(type) {
	case *ast.SequenceNode:
		return list.Values
	case *ast.NullNode:
		return nil
	}
	return []ast.Node{body}
}
