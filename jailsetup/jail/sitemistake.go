package jail

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// What is wrong with a site file, as FILE:LINE: and what was expected.

// mistake is the parser's error on one line: FILE:LINE: what is wrong.
func mistake(path string, data []byte, err error) string {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		said := strings.ReplaceAll(err.Error(), "\n", " ")
		// A duration that is none is told by its value only.
		if _, value, ok := strings.Cut(said, `duration "`); ok {
			value = strings.TrimSuffix(value, `"`)
			if before, _, found := strings.Cut(string(data), ": "+value); found {
				return fmt.Sprintf("%s:%d: want %s, not %q", path, strings.Count(before, "\n")+1, wanted(reflect.TypeFor[time.Duration]()), value)
			}
		}
		return path + ": " + said
	}
	said := at.GetMessage()
	var kind *yaml.TypeError
	if errors.As(err, &kind) {
		said = fmt.Sprintf("want %s, not %q", wanted(kind.DstType), at.GetToken().Value)
	}
	return fmt.Sprintf("%s:%d: %s", path, at.GetToken().Position.Line, said)
}

// wanted says in words what a setting is to be.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration, such as 30s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64 || t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct:
		return "keys with values"
	}
	return "a word"
}

// placed is FILE:LINE of what an error speaks of, which begins with its key, such
// as "limits: processes: …"; FILE where that isn't in the text.
func placed(path string, data []byte, text string) string {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return path
	}
	for keys := strings.Split(text, ": "); len(keys) > 1; keys = keys[:len(keys)-1] {
		at, err := yaml.PathString("$." + strings.Join(keys[:len(keys)-1], "."))
		if err != nil {
			continue
		}
		if node, err := at.FilterFile(file); err == nil && node != nil {
			return fmt.Sprintf("%s:%d", path, node.GetToken().Position.Line)
		}
	}
	return path
}
