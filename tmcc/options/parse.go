package options

import (
	"errors"
	"fmt"
	"strings"

	"emujail/protocol"
)

// conflicts are pairs of letters that exclude each other: the original's, then
// ours.
func conflicts() []string {
	return []string{"lx", "xX", "uf", "lk", "ls", "Ti", "lX"}
}

// Parse reads a command line, without the program's name. An error is a
// mistake of the user's: say it with Usage and exit with 1.
func Parse(args []string) (*Line, error) {
	l := &Line{Version: protocol.Version}
	p := parser{Line: l, table: table()}
	if err := p.scan(args); err != nil {
		return l, err
	}
	return l, l.check()
}

// A parser is a Line being read.
type parser struct {
	*Line
	table []group
}

// scan takes the options out of args, wherever they stand before `--`.
func (p parser) scan(args []string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			p.Words = append(p.Words, args...)
			return nil
		case len(arg) < 2 || arg[0] != '-':
			p.Words = append(p.Words, arg)
			continue
		}
		own, isOwn := p.findWord(arg)
		if isOwn && len(p.Words) > 0 {
			return fmt.Errorf("%s stands behind the command: options of this kind go before it", arg)
		}
		var err error
		if isOwn {
			args, err = p.word(own, args)
		} else {
			args, err = p.cluster(arg, args)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// word takes one of our own options. Its value, which may be missing, is the
// next argument unless that begins with a dash.
func (p parser) word(o option, args []string) ([]string, error) {
	value := ""
	if o.arg != "" && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		value, args = args[0], args[1:]
	}
	if err := o.set(p.Line, value); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name(), err)
	}
	return args, nil
}

// cluster takes arg, letters behind one dash, the last of which may have its
// value attached or in the next argument.
func (p parser) cluster(arg string, args []string) ([]string, error) {
	for rest := arg[1:]; rest != ""; {
		o, ok := p.findLetter(rest[0])
		if !ok {
			return nil, p.unknown(arg, rest[0])
		}
		rest = rest[1:]
		value := ""
		if o.takesValue() {
			switch {
			case rest != "":
				value, rest = rest, ""
			case len(args) > 0:
				value, args = args[0], args[1:]
			default:
				return nil, fmt.Errorf("%s wants a value: %s", o.name(), o.arg)
			}
		}
		if err := o.set(p.Line, value); err != nil {
			return nil, fmt.Errorf("%s: %w", o.name(), err)
		}
		p.given[o.letter] = true
	}
	return args, nil
}

// unknown says what to write instead, if arg may be meant as an argument.
func (l *Line) unknown(arg string, letter byte) error {
	err := fmt.Errorf("no option -%c (in %q)", letter, arg)
	if len(l.Words) > 0 {
		err = fmt.Errorf("%w; if it is an argument: tmcc %s -- %s", err, strings.Join(l.Words, " "), arg)
	}
	return err
}

func (p parser) findLetter(letter byte) (option, bool) {
	for _, g := range p.table {
		for _, o := range g.options {
			if o.letter == letter && o.word == "" {
				return o, true
			}
		}
	}
	return option{}, false
}

// findWord finds our own option that arg is, with one dash or two.
func (p parser) findWord(arg string) (option, bool) {
	name := strings.TrimPrefix(arg[1:], "-")
	for _, g := range p.table {
		for _, o := range g.options {
			if o.word != "" && o.word == name {
				return o, true
			}
		}
	}
	return option{}, false
}

// check finds options that exclude each other and words that are missing.
func (l *Line) check() error {
	if l.Help || l.ShowVersion {
		return nil
	}
	for _, pair := range conflicts() {
		if l.given[pair[0]] && l.given[pair[1]] {
			return fmt.Errorf("-%c and -%c exclude each other", pair[0], pair[1])
		}
	}
	if l.Proxy {
		return l.checkProxy()
	}
	switch {
	case len(l.Words) > MaxWords:
		return fmt.Errorf("%d words of command, at most %d are sent", len(l.Words), MaxWords)
	case len(l.Words) == 0 && !l.Clear:
		return errors.New("no command")
	case len(l.Words) == 0 && l.DataFile != "":
		return errors.New("-f, but no command")
	}
	return nil
}

func (l *Line) checkProxy() error {
	switch {
	case len(l.Words) > 0:
		return fmt.Errorf("a proxy takes no command, got %q", l.Words[0])
	case l.JSON || l.Clear || l.Bypass || l.DataFile != "" || l.UDP:
		return errors.New("a proxy asks nothing itself: no -json, -c, -b, -f, -u")
	case l.VNode == "" && (l.ProxyPath != "" || l.given['X']):
		return errors.New("a proxy must be told whose it is: -n")
	}
	return nil
}
