package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"emujail/protocol"
)

// appendJSON renders a value of package protocol: names in lower case as they
// stand on the wire (HOMEDIR= is homedir), no words lost (extra), and a list
// that is empty is [] and not null. encoding/json alone would need a tag on
// every field of a package that has no other use for them.
func appendJSON(dst []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...), nil
	case []member:
		return appendMembers(dst, v)
	case protocol.Extra:
		return appendMembers(dst, extraMembers(v))
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return dst, err
		}
		return appendLeaf(dst, string(text))
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Struct:
		return appendMembers(dst, fieldMembers(v))
	case reflect.Slice:
		return appendList(dst, v)
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return appendLeaf(dst, value)
	}
	return dst, fmt.Errorf("no form for %T", value)
}

func appendLeaf(dst []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(dst, text...), err
}

func appendMembers(dst []byte, members []member) (_ []byte, err error) {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendLeaf(dst, m.name); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
		if dst, err = appendJSON(dst, m.value); err != nil {
			return dst, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return append(dst, '}'), nil
}

func appendList(dst []byte, list reflect.Value) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range list.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, list.Index(i).Interface()); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// fieldMembers lists a struct's exported fields. Extra stands only if there is
// something in it.
func fieldMembers(v reflect.Value) []member {
	var members []member
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "Extra" && v.Field(i).Len() == 0 {
			continue
		}
		members = append(members, member{strings.ToLower(field.Name), v.Field(i).Interface()})
	}
	return members
}

func extraMembers(extra protocol.Extra) []member {
	var members []member
	for _, w := range extra {
		members = append(members, member{w.Key, w.Value()})
	}
	return members
}
