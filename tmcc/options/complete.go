package options

import (
	"strings"

	"emujail/protocol"
)

// Bash is the completion for bash: options, files for those that take one, and
// the names of tmcd's commands.
func Bash() string {
	var all, files, others []string
	for _, g := range table() {
		for _, o := range g.options {
			all = append(all, o.name())
			switch {
			case o.arg != "" && o.file == 'f':
				files = append(files, o.name())
			case o.takesValue():
				others = append(others, o.name())
			}
		}
	}
	return `# Completion of tmcc for bash. Made from tmcc/options; see its test.
_tmcc() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	COMPREPLY=()
	case $before in
	` + strings.Join(files, " | ") + `) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
	` + strings.Join(others, " | ") + `) return ;;
	esac
	case $word in
	-*) COMPREPLY=($(compgen -W '` + strings.Join(all, " ") + `' -- "$word")) ;;
	*) COMPREPLY=($(compgen -W '` + strings.Join(commandNames(), " ") + `' -- "$word")) ;;
	esac
}
complete -F _tmcc tmcc
`
}

// Zsh is the completion for zsh.
func Zsh() string {
	var b strings.Builder
	b.WriteString("#compdef tmcc\n# Made from tmcc/options; see its test.\n_arguments -s -S \\\n")
	for _, g := range table() {
		for _, o := range g.options {
			b.WriteString("  '" + o.name() + "[" + zshText(o.help) + "]" + zshValue(o) + "' \\\n")
		}
	}
	b.WriteString("  '1:command:(" + strings.Join(commandNames(), " ") + ")' '*::word: '\n")
	return b.String()
}

func zshValue(o option) string {
	switch {
	case o.arg == "":
		return ""
	case !o.takesValue():
		return "::" + strings.Trim(o.arg, "[]") + ":_files"
	case o.file == 'f':
		return ":" + o.arg + ":_files"
	}
	return ":" + strings.ReplaceAll(o.arg, ":", "\\:") + ": "
}

func zshText(s string) string {
	return strings.NewReplacer("'", "'\\''", "[", "\\[", "]", "\\]", ":", "\\:").Replace(s)
}

func commandNames() []string {
	names := []string{"bossinfo"}
	for _, c := range protocol.Commands() {
		names = append(names, c.Name)
	}
	return names
}
