package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"
)

// flagMistake says of a flag's value what is wanted instead, where the library
// says what it called to read it.
func flagMistake(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	f := bad.GetFlag()
	want, ok := map[string]string{
		"int": "a whole number", "int64": "a whole number", "float64": "a number",
		"duration": "a time like 500ms or 2s", "bool": "true or false",
	}[f.Value.Type()]
	if !ok {
		return err
	}
	return fmt.Errorf("--%s %s: want %s", f.Name, bad.GetValue(), want)
}
