package protocol

import (
	"errors"
	"strings"
)

// UserEnv is the reply to userenv: variables for the programs of the experiment.
type UserEnv []EnvVar

// EnvVar is NAME=value; the value is the rest of the line, without quotes.
type EnvVar struct{ Name, Value string }

// ParseUserEnv reads the reply to userenv.
func ParseUserEnv(b []byte) (UserEnv, error) {
	var all UserEnv
	err := eachLine(b, func(line string) error {
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return errors.New("no NAME=value")
		}
		all = append(all, EnvVar{name, value})
		return nil
	})
	return all, err
}

// Append renders the reply.
func (u UserEnv) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	for _, v := range u {
		c.begin("")
		c.key(v.Name)
		c.value(v.Value)
		c.end()
	}
	return c.dst
}

// NodeAttributes is the reply to nodeattributes: properties of the physical
// node, such as VM_MEMSIZE.
type NodeAttributes []Attribute

// Attribute is KEY="value".
type Attribute struct{ Key, Value string }

// ParseNodeAttributes reads the reply to nodeattributes.
func ParseNodeAttributes(b []byte) (NodeAttributes, error) {
	var all NodeAttributes
	err := eachLine(b, func(line string) error {
		key, value, ok := strings.Cut(line, "=")
		n := len(value)
		if !ok || key == "" || n < 2 || value[0] != '"' || value[n-1] != '"' {
			return errors.New(`no KEY="value"`)
		}
		all = append(all, Attribute{key, value[1 : n-1]})
		return nil
	})
	return all, err
}

// Get returns the value of the first attribute with this key.
func (n NodeAttributes) Get(key string) (string, bool) {
	for _, a := range n {
		if a.Key == key {
			return a.Value, true
		}
	}
	return "", false
}

// Append renders the reply.
func (n NodeAttributes) Append(dst []byte, version int) []byte {
	c := renderer(dst, version)
	for _, a := range n {
		c.begin("")
		c.key(a.Key)
		c.dst = append(c.dst, '"')
		c.value(a.Value)
		c.dst = append(c.dst, '"')
		c.end()
	}
	return c.dst
}
