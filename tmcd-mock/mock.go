package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/manage"
	"emujail/tmcd-mock/pki"
	"emujail/tmcd-mock/store"
	"emujail/tmcd-mock/testbed"
)

// mock is what a running server knows: the testbed, what nodes reported, the trouble on demand, and the
// certificates. Its methods are what server, manage and web call.
type mock struct {
	file  string   // of the testbed; empty: the built-in one
	site  []string // KEY=VALUE, put over each testbed that is read
	web   string   // address of our web server, for a testbed that names none
	pki   string   // directory; empty: no TLS
	began time.Time
	log   *slog.Logger

	tb      *testbed.Testbed
	reports *store.Store
	journal *store.Journal
	faults  *fault.Set
	tls     atomic.Pointer[tls.Config]

	mu       sync.Mutex // one reload at a time
	timeline chan []fault.Deed
}

// loaded is a testbed that was read and found right, not yet in force.
type loaded struct {
	db       *testbed.DB
	faults   []fault.Rule
	timeline []fault.Deed
	tls      *tls.Config
	warnings []string
}

// load reads the testbed and the certificates. Nothing changes.
func (m *mock) load() (loaded, error) {
	name, text := "(built in)", testbed.BuiltinYAML()
	if m.file != "" {
		var err error
		if text, err = os.ReadFile(m.file); err != nil {
			return loaded{}, fmt.Errorf("read testbed: %w", err)
		}
		name = m.file
	}
	db, err := testbed.Decode(name, text)
	if err != nil {
		return loaded{}, err
	}
	l := loaded{db: db}
	if m.web != "" && db.Site.Web == "" {
		db.Site.Web = m.web
	}
	for _, setting := range m.site {
		key, value, _ := strings.Cut(setting, "=")
		if !db.Site.Set(key, value) {
			return loaded{}, usagef("--site %s: no such setting, or not a value for it", setting)
		}
	}
	l.faults, err = fault.ParseFaults(name, db.Faults.Line, db.Faults.Text)
	if err != nil {
		return loaded{}, err
	}
	l.timeline, err = fault.ParseTimeline(name, db.Timeline.Line, db.Timeline.Text)
	if err != nil {
		return loaded{}, err
	}
	if m.pki != "" {
		material, err := pki.Load(m.pki, time.Now())
		if err != nil {
			return loaded{}, err
		}
		l.tls, l.warnings = material.ServerTLS(), material.Warnings
	}
	return l, nil
}

// use puts what load read in force.
func (m *mock) use(l loaded) {
	for _, w := range l.warnings {
		m.log.Warn(w)
	}
	if m.tb == nil {
		m.tb = testbed.New(l.db)
	} else {
		m.tb.Replace(l.db)
	}
	m.faults.Replace(l.faults)
	m.tls.Store(l.tls)
	m.timeline <- l.timeline
}

// reload reads everything again; a mistake changes nothing. Rows that were changed live are the file's again.
func (m *mock) reload() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.load()
	if err != nil {
		m.log.Error("testbed not read again, the old one stays", "error", err)
		return err
	}
	m.use(l)
	m.log.Info("testbed read again", "file", m.file)
	m.event(store.ReloadEvent, "", m.file)
	return nil
}

func (m *mock) event(kind store.EventKind, node, text string) {
	m.journal.Add(store.Event{Time: time.Now(), Kind: kind, Node: node, Text: store.Text(text)})
}

// admit and answer are the server's questions.
func (m *mock) admit(q answer.Query) answer.Result { return answer.Admit(m.tb, q) }

func (m *mock) answer(q answer.Query) answer.Result {
	r := answer.Answer(m.tb, q)
	if err := m.keep(r.Reports); err != nil {
		m.log.Error("cannot keep a report", "vnode", r.Node, "error", err)
	}
	return r
}

func (m *mock) host(a netip.Addr) string { return answer.HostOf(m.tb, a) }

// keep stores what a node reported, but for what holds a key.
func (m *mock) keep(reports []answer.Report) error {
	var list []store.Report
	for _, r := range reports {
		if r.Kind == "tiplineinfo" {
			continue
		}
		list = append(list, store.Report{Time: time.Now(), Node: r.Node, Kind: r.Kind, Text: store.Text(r.Text)})
		if r.Kind == "state" {
			m.event(store.ReportEvent, r.Node, firstWord(r.Text))
		}
	}
	return m.reports.Put(list...)
}

func firstWord(text string) string {
	if words := strings.Fields(text); len(words) > 0 {
		return words[0]
	}
	return ""
}

// nodes is what `show` shows.
func (m *mock) nodes() []manage.Node {
	all := m.reports.Nodes()
	list := []manage.Node{}
	m.tb.Read(func(db *testbed.DB) {
		for row := range db.Rows("nodes") {
			n := manage.Node{ID: row.Text("node_id"), Host: row.Text("phys_nodeid"), State: store.Text(row.Text("eventstate")),
				Reports: map[string]store.Text{}, At: map[string]time.Time{}}
			if n.Host == "" {
				n.Host = n.ID
			}
			for kind, r := range all[n.ID] {
				n.Reports[kind], n.At[kind] = r.Text, r.Time
			}
			if state, ok := n.Reports["state"]; ok {
				n.State = store.Text(firstWord(string(state)))
			}
			list = append(list, n)
		}
	})
	return list
}

// set makes changes that a person asked for; all are checked before the first is made.
func (m *mock) set(changes []manage.Change) error {
	ops := map[string]testbed.Op{"update": testbed.Update, "upsert": testbed.Upsert, "delete": testbed.Delete}
	var list []testbed.Change
	for _, c := range changes {
		op, ok := ops[c.Op]
		if !ok {
			return fmt.Errorf("change %q: want update, upsert or delete", c.Op)
		}
		if c.Table == "" || len(c.Where) == 0 {
			return errors.New("change: want a table and at least one column to find its rows by")
		}
		if op == testbed.Update && len(c.Set) == 0 {
			return fmt.Errorf("change of %s: nothing to set", c.Table)
		}
		columns := testbed.Columns{}
		for k, v := range c.Set {
			columns[k] = v
		}
		list = append(list, testbed.Change{Table: c.Table, Op: op, Where: c.Where, Set: columns})
	}
	if err := m.haveRows(changes); err != nil {
		return err
	}
	m.tb.Apply(list)
	for _, c := range changes {
		m.event(store.ChangeEvent, "", c.Op+" "+c.Table)
	}
	return nil
}

// haveRows refuses a change that would change nothing: most likely a typing error.
func (m *mock) haveRows(changes []manage.Change) (err error) {
	m.tb.Read(func(db *testbed.DB) {
		for _, c := range changes {
			if c.Op == "upsert" || err != nil {
				continue
			}
			err = fmt.Errorf("%s of %s: no row matches", c.Op, c.Table)
			for row := range db.Rows(c.Table) {
				if row.Matches(c.Where) {
					err = nil
					break
				}
			}
		}
	})
	return err
}

// deed makes one entry of the timeline happen.
func (m *mock) deed(d fault.Deed) {
	m.log.Info("timeline", "deed", d.String())
	m.event(store.ChangeEvent, d.Node, "timeline: "+d.String())
	switch d.Do {
	case fault.DoDown:
		m.faults.DownUntil(time.Now().Add(d.For))
	case fault.DoFault:
		m.faults.Add(d.Rule)
	case fault.DoClear:
		// Removing all can't fail.
		_ = m.faults.Remove(0)
	case fault.DoUpdate:
		m.eachNode(d.Node, func(node map[string]string) []testbed.Change {
			return []testbed.Change{{Table: "nodes", Op: testbed.Update, Where: node, Set: testbed.Columns{"update_accounts": int64(d.N)}}}
		})
	case fault.DoFree: // whose name in the experiment goes, too
		m.eachNode(d.Node, func(node map[string]string) []testbed.Change {
			return []testbed.Change{{Table: "reserved", Op: testbed.Delete, Where: node}, {Table: "v2pmap", Op: testbed.Delete, Where: node}}
		})
	}
}

// eachNode makes changes for every node whose id matches pattern, all at once.
func (m *mock) eachNode(pattern string, changes func(node map[string]string) []testbed.Change) {
	var list []testbed.Change
	m.tb.Read(func(db *testbed.DB) {
		for row := range db.Rows("nodes") {
			id := row.Text("node_id")
			if ok, err := path.Match(pattern, id); pattern == "" || ok && err == nil {
				list = append(list, changes(map[string]string{"node_id": id})...)
			}
		}
	})
	m.tb.Apply(list)
}

// records is the web server's question: which files a node's rows name, and its experiment's key.
func (m *mock) records(node string) (files []string, key string) {
	m.tb.Read(func(db *testbed.DB) {
		row, reserved := db.First("nodes", "node_id", node), db.First("reserved", "node_id", node)
		if row.IsZero() || reserved.IsZero() {
			return
		}
		files = append(files, strings.Split(row.Text("rpms"), ":")...)
		for _, entry := range strings.Split(row.Text("tarballs"), ":") {
			if _, file, ok := strings.Cut(entry, " "); ok {
				files = append(files, file)
			}
		}
		for e := range db.Where("experiments", "eid", reserved.Text("eid")) {
			if e.Is("pid", reserved.Text("pid")) {
				key = e.Text("keyhash")
			}
		}
	})
	return files, key
}
