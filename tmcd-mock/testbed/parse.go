package testbed

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"math"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Parse reads a testbed in YAML, as doc.go lists its keys, and checks it.
// The error holds every mistake found (20 at most), each as
// "name:line: what was expected".
func Parse(name string, b []byte) (*DB, error) {
	r := &reader{file: name}
	d := r.document(b)
	if err := r.err(); err != nil {
		return nil, err
	}
	db := d.expand(r)
	if err := r.err(); err != nil {
		return nil, err
	}
	return db, nil
}

func (r *reader) document(b []byte) *doc {
	d := &doc{site: defaultSite(), defaults: map[string]Columns{}, files: map[string][]byte{}}
	root := r.parse(b)
	if root == nil {
		return d
	}
	top := []field{
		{"site", func(n ast.Node) { r.site(n, &d.site) }},
		{"web", func(n ast.Node) { d.site.Web = r.text(n, "host[:port] of the web server") }},
		{"sitevariables", func(n ast.Node) { d.siteVars = r.siteVars(n) }},
		{"defaults", func(n ast.Node) {
			for _, e := range r.entries(n, "defaults by table") {
				d.defaults[e.key] = r.columns(e.val, "column defaults")
			}
		}},
		{"files", func(n ast.Node) { r.files(n, d.files) }},
		{"projects", func(n ast.Node) { each(r, n, "projects", &d.projects, r.project) }},
		{"groups", func(n ast.Node) { each(r, n, "groups", &d.groups, r.group) }},
		{"users", func(n ast.Node) { each(r, n, "users", &d.users, r.user) }},
		{"types", func(n ast.Node) { each(r, n, "node types", &d.types, r.nodeType) }},
		{"experiments", func(n ast.Node) { each(r, n, "experiments", &d.experiments, r.experiment) }},
		{"hosts", func(n ast.Node) { each(r, n, "hosts", &d.hosts, r.host) }},
		{"vnodes", func(n ast.Node) { each(r, n, "vnodes", &d.vnodes, r.vnode) }},
		{"rows", func(n ast.Node) { d.rows = r.rawTables(n) }},
		{"tables", func(n ast.Node) { d.tables = r.rawTables(n) }},
		{"faults", func(ast.Node) { d.faults = section(b, "faults") }},
		{"timeline", func(ast.Node) { d.timeline = section(b, "timeline") }},
	}
	r.object(root, "a testbed", top)
	return d
}

// each reads a mapping of named things; read gets the name's node and value.
func each[T any](r *reader, n ast.Node, what string, to *[]T, read func(e entry) T) {
	for _, e := range r.entries(n, what+" by name") {
		*to = append(*to, read(e))
	}
}

// section cuts the lines of a top-level key out of the file.
func section(b []byte, key string) Section {
	lines := bytes.SplitAfter(b, []byte("\n"))
	for i, l := range lines {
		if !bytes.HasPrefix(l, []byte(key+":")) {
			continue
		}
		end := i + 1
		for end < len(lines) && (len(bytes.TrimSpace(lines[end])) == 0 || bytes.IndexByte([]byte(" \t#-"), lines[end][0]) >= 0) {
			end++
		}
		return Section{Text: string(bytes.Join(lines[i:end], nil)), Line: i + 1}
	}
	return Section{}
}

func (r *reader) site(n ast.Node, s *Site) {
	var fields []field
	for _, f := range s.fields() {
		fields = append(fields, field{f.key, func(n ast.Node) {
			switch {
			case f.flag != nil:
				*f.flag = r.flag(n, f.key)
			case f.addr:
				*f.text = r.addr(n, f.key)
			case f.text != nil:
				*f.text = r.text(n, f.key)
			default:
				r.dirs(n, f.key, f.dirs)
			}
		}})
	}
	fields = append(fields, field{"other", func(n ast.Node) { s.Other = r.columns(n, "other") }})
	r.object(n, "site", fields)
}

func (r *reader) dirs(n ast.Node, what string, d *Dirs) {
	var fields []field
	for _, f := range d.fields() {
		fields = append(fields, field{f.key, func(n ast.Node) { *f.text = r.text(n, f.key) }})
	}
	r.object(n, what, fields)
}

func (r *reader) siteVars(n ast.Node) []rawRow {
	var out []rawRow
	for _, e := range r.entries(n, "site variables by name") {
		row := rawRow{lineOf(e.at), Columns{"name": e.key}}
		switch plain(e.val).(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			r.object(e.val, "a site variable", []field{
				{"value", func(n ast.Node) { row.columns["value"] = r.optional(n, "a value") }},
				{"default", func(n ast.Node) { row.columns["defaultvalue"] = r.optional(n, "a default") }},
			})
		default:
			row.columns["value"] = r.optional(e.val, "a value")
		}
		out = append(out, row)
	}
	return out
}

// optional reads text, nil for an empty value.
func (r *reader) optional(n ast.Node, what string) any {
	if _, null := plain(n).(*ast.NullNode); null || n == nil {
		return nil
	}
	return r.text(n, what)
}

func (r *reader) files(n ast.Node, to map[string][]byte) {
	for _, e := range r.entries(n, "files by path") {
		r.object(e.val, "a file", []field{
			{"text", func(n ast.Node) { to[e.key] = []byte(r.text(n, "the file's text")) }},
			{"gzip", func(n ast.Node) { to[e.key] = compress(r.text(n, "the text to compress")) }},
			{"base64", func(n ast.Node) {
				s := strings.Join(strings.Fields(r.text(n, "base64")), "")
				content, err := base64.StdEncoding.DecodeString(s)
				if err != nil {
					r.failAt(n, "expected base64 of %s: %v", e.key, err)
				}
				to[e.key] = content
			}},
		})
	}
}

func compress(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s)) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

func (r *reader) columns(n ast.Node, what string) Columns {
	c := Columns{}
	for _, e := range r.entries(n, what) {
		c[e.key] = r.value(e.val, "text, a number or null")
	}
	return c
}

func (r *reader) rawTables(n ast.Node) []rawTable {
	var out []rawTable
	for _, e := range r.entries(n, "lists of rows by table") {
		t := rawTable{line: lineOf(e.at), name: e.key}
		for _, item := range r.items(e.val) {
			t.rows = append(t.rows, rawRow{lineOf(item), r.columns(item, "a row's columns")})
		}
		out = append(out, t)
	}
	return out
}

func (r *reader) project(e entry) project {
	p := project{line: lineOf(e.at), pid: r.name(e.at, e.key, "a project id", "", 48)}
	r.object(e.val, "a project", []field{
		{"name", func(n ast.Node) { p.name = r.text(n, "the project's name") }},
		{"head", func(n ast.Node) { p.head = r.text(n, "the leader, a user") }},
		{"gid", func(n ast.Node) { p.gid = r.number(n, "the Unix group id", 10, 65535) }},
		{"idx", func(n ast.Node) { p.idx = r.number(n, "the project's index", 1, math.MaxInt32) }},
		{"nonlocal", func(n ast.Node) { p.nonlocal = r.text(n, "a URN") }},
	})
	return p
}

func (r *reader) group(e entry) group {
	pid, gid := r.pair(e.at, e.key, "a group", "PROJECT/GROUP")
	g := group{line: lineOf(e.at), pid: pid, gid: gid}
	r.object(e.val, "a group", []field{
		{"unix_name", func(n ast.Node) { g.unixName = r.text(n, "the Unix group's name") }},
		{"gid", func(n ast.Node) { g.unixGID = r.number(n, "the Unix group id", 10, 65535) }},
		{"leader", func(n ast.Node) { g.leader = r.text(n, "the leader, a user") }},
		{"idx", func(n ast.Node) { g.idx = r.number(n, "the group's index", 1, math.MaxInt32) }},
	})
	return g
}

// pair splits "a/b".
func (r *reader) pair(n ast.Node, s, what, form string) (string, string) {
	a, b, ok := strings.Cut(s, "/")
	if !ok || a == "" || b == "" {
		r.failAt(n, "expected %s as %s, not %q", what, form, s)
	}
	return a, b
}

func (r *reader) user(e entry) user {
	u := user{line: lineOf(e.at), uid: r.name(e.at, e.key, "a user's login", ".", 32)}
	r.object(e.val, "a user", []field{
		{"name", func(n ast.Node) { u.name = r.text(n, "the full name") }},
		{"email", func(n ast.Node) { u.email = r.text(n, "the address") }},
		{"uid", func(n ast.Node) { u.unixUID = r.number(n, "the Unix user id", 1, math.MaxInt32) }},
		{"idx", func(n ast.Node) { u.idx = r.number(n, "the user's index", 1, math.MaxInt32) }},
		{"password", func(n ast.Node) { u.password = r.text(n, "a password hash") }},
		{"windows_password", func(n ast.Node) { u.windows = r.text(n, "a password") }},
		{"shell", func(n ast.Node) { u.shell = r.text(n, "a shell") }},
		{"status", func(n ast.Node) { u.status = r.text(n, "active, frozen, …") }},
		{"admin", func(n ast.Node) { u.admin = r.flag(n, "admin") }},
		{"web_only", func(n ast.Node) { u.webOnly = r.flag(n, "web_only") }},
		{"remote_root", func(n ast.Node) { u.remoteRoot = r.flag(n, "remote_root") }},
		{"remote_jail_root", func(n ast.Node) { u.jailRoot = r.flag(n, "remote_jail_root") }},
		{"modified", func(n ast.Node) { u.modified = r.time(n) }},
		{"emulab_pubkey", func(n ast.Node) { u.emulabKey = r.text(n, "a key") }},
		{"keys", func(n ast.Node) {
			for _, k := range r.items(n) {
				u.keys = append(u.keys, r.text(k, "an ssh public key"))
			}
		}},
		{"groups", func(n ast.Node) { u.groups = r.memberships(n) }},
	})
	return u
}

func (r *reader) memberships(n ast.Node) []membership {
	trust := []string{"none", "user", "local_root", "group_root", "project_root"}
	var out []membership
	for _, e := range r.entries(n, "groups, each with the user's trust in it,") {
		pid, gid, sub := strings.Cut(e.key, "/")
		if !sub {
			gid = pid
		}
		out = append(out, membership{lineOf(e.at), pid, gid, r.oneOf(e.val, "the trust", trust...)})
	}
	return out
}

func (r *reader) nodeType(e entry) nodeType {
	t := nodeType{name: e.key}
	flag := func(to *bool, key string) func(ast.Node) { return func(n ast.Node) { *to = r.flag(n, key) } }
	r.object(e.val, "a node type", []field{
		{"class", func(n ast.Node) { t.class = r.text(n, "the class") }},
		{"virtual", flag(&t.virtual, "virtual")},
		{"jailed", flag(&t.jailed, "jailed")},
		{"dynamic", flag(&t.dynamic, "dynamic")},
		{"remote", flag(&t.remote, "remote")},
		{"subnode", flag(&t.subnode, "subnode")},
		{"attributes", func(n ast.Node) { t.attributes = r.attributes(n) }},
	})
	if t.class == "" {
		t.class = t.name
	}
	return t
}

func (r *reader) attributes(n ast.Node) []attribute {
	var out []attribute
	for _, e := range r.entries(n, "attributes") {
		out = append(out, attribute{e.key, r.value(e.val, "text or a number")})
	}
	return out
}

// word reads text that stands on the wire unquoted.
func (r *reader) word(n ast.Node, what string) string {
	s := r.text(n, what)
	if strings.ContainsAny(s, " \t\n") {
		r.failAt(n, "expected %s without blanks, not %q", what, s)
	}
	return s
}
