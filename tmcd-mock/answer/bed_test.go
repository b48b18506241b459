package answer_test

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"emujail/protocol"
	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

// The testbeds of these tests, how they are changed, and how they are asked.

var readOnce = sync.OnceValues(func() (*testbed.Testbed, error) { return testbed.Load("../../testdata/recorded.yaml") })

// recordedBed is the recorded testbed, fresh for each test.
func recordedBed(t testing.TB) *testbed.Testbed {
	t.Helper()
	tb, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	return testbed.New(tb.Snapshot())
}

// columns are a row, or what to set in one.
type columns = testbed.Columns

// row is one more row of a table.
type row struct {
	table   string
	columns columns
}

// with is the recorded testbed with more rows in one table after the other.
func with(t *testing.T, tables ...any) *testbed.Testbed {
	t.Helper()
	var rows []row
	for i := 0; i < len(tables); i += 2 {
		for _, r := range tables[i+1].([]columns) {
			rows = append(rows, row{tables[i].(string), r})
		}
	}
	return insert(recordedBed(t), rows...)
}

// insert adds rows, once to a testbed: a column of its own keeps each apart from
// those that are there.
func insert(tb *testbed.Testbed, rows ...row) *testbed.Testbed {
	for i, r := range rows {
		tb.Apply([]testbed.Change{{Table: r.table, Op: testbed.Upsert, Set: r.columns,
			Where: map[string]string{"emujail-test": strconv.Itoa(i)}}})
	}
	return tb
}

// alter changes the rows of one node, experiment or whatever column=value names.
func alter(tb *testbed.Testbed, table, column, value string, to columns) *testbed.Testbed {
	tb.Apply([]testbed.Change{{Table: table, Where: map[string]string{column: value}, Set: to}})
	return tb
}

// smallBed is a testbed of the test's own.
func smallBed(t *testing.T, text string) *testbed.Testbed {
	t.Helper()
	db, err := testbed.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return testbed.New(db)
}

// configHead is a host with two vnodes, a node beside it and a remote host.
const configHead = `
site: {domain: emulab.test, event_server: event-server.emulab.test, gateway: 10.0.0.254, control_network: 10.0.0.0, control_netmask: 255.255.0.0}
projects: {p: {head: alice, idx: 7}, q: {head: alice, idx: 8}}
users: {alice: {groups: {p: project_root}}}
types:
  pc: {class: pc}
  pcvm: {class: pcvm, virtual: true}
  pcplab: {class: pcplab, remote: true}
  plabslice: {class: pcplab, virtual: true, remote: true}
  ixp-bv: {class: ixp, subnode: true}
  mica2: {class: mote, subnode: true}
  other: {class: odd, subnode: true}
experiments: {p/e: {creator: alice}}
hosts:
  pc1: {type: pc, ip: 10.0.0.1, mac: "000000000001", experiment: p/e, name: host1, role: virthost}
  pc2: {type: pc, ip: 10.0.0.2, mac: "000000000002", experiment: p/e, name: fw}
  pc3: {type: pc, ip: 10.0.0.3, mac: "000000000003", experiment: p/e, name: web}
  far: {type: pcplab, ip: 10.9.0.1, experiment: p/e, name: there, remote: true, privkey: 0123456789abcdef}
vnodes:
  vm1: {type: pcvm, host: pc1, experiment: p/e, name: a, sshdport: 30001}
  vm2: {type: pcvm, host: pc1, experiment: p/e, name: b, sshdport: 30002}
  slice: {type: plabslice, host: far, experiment: p/e, name: s, sshdport: 30003}
`

// configBed is that testbed with more rows, written as the file's rows: are.
func configBed(t *testing.T, rows string) *testbed.Testbed {
	t.Helper()
	if rows != "" {
		rows = "rows:\n" + rows
	}
	return smallBed(t, configHead+rows)
}

// bedOfRows is a testbed of exactly these rows, in the form of testbed.json, by
// way of the file that import makes of them.
func bedOfRows(t testing.TB, rows string) *testbed.Testbed {
	t.Helper()
	return imported(t, decoded(t, rows))
}

func decoded(t testing.TB, rows string) *testbed.DB {
	t.Helper()
	db, err := testbed.DecodeJSON("rows.json", []byte(rows))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// imported is the testbed in the file that import makes of these rows.
func imported(t testing.TB, db *testbed.DB) *testbed.Testbed {
	t.Helper()
	text, err := testbed.Import(db)
	if err != nil {
		t.Fatal(err)
	}
	if db, err = testbed.Parse("rows.yaml", text); err != nil {
		t.Fatal(err)
	}
	return testbed.New(db)
}

// pairRows is host pc1 at 10.0.0.1 with vnode pcvm1-1, both of experiment p/e.
const pairRows = `{
 "node_types": [{"class": "pc", "type": "pc"}, {"class": "pcvm", "type": "pcvm", "isvirtnode": 1}],
 "nodes": [
  {"node_id": "pc1", "type": "pc", "phys_nodeid": "pc1", "role": "testnode", "uuid": "u1", "def_boot_osid": 7},
  {"node_id": "pcvm1-1", "type": "pcvm", "phys_nodeid": "pc1", "role": "virtnode", "uuid": "u2", "jailflag": 1}],
 "interfaces": [{"node_id": "pc1", "card": 0, "mac": "aa00", "IP": "10.0.0.1", "iface": "eth0", "role": "ctrl"}],
 "experiments": [{"pid": "p", "eid": "e", "gid": "p", "idx": 5, "expt_head_uid": "ann", "expt_swap_uid": "bo", "nfsmounts": "all"}],
 "reserved": [
  {"node_id": "pc1", "pid": "p", "eid": "e", "exptidx": 5, "vname": "host"},
  {"node_id": "pcvm1-1", "pid": "p", "eid": "e", "exptidx": 5, "vname": "a"}]
}`

// pairBed is pairRows and these rows.
func pairBed(t *testing.T, rows ...row) *testbed.Testbed {
	t.Helper()
	return insert(testbed.New(decoded(t, pairRows)), rows...)
}

// ask sends a request as from(src, way) and fails the test if it can't be read.
func ask(t testing.TB, tb *testbed.Testbed, src string, way answer.Transport, request string) answer.Result {
	t.Helper()
	req, err := protocol.ParseRequest([]byte(request))
	if err != nil {
		return answer.Result{Why: err.Error()}
	}
	return answer.Answer(tb, answer.Query{Source: netip.MustParseAddr(src), Transport: way, Request: req,
		Now: time.Date(2016, 6, 1, 12, 0, 0, 0, time.UTC), Rand: zeros{}})
}

// zeros is a source of chance without any.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// replies asks and compares the whole reply.
func replies(t *testing.T, tb *testbed.Testbed, src string, way answer.Transport, request, want string) {
	t.Helper()
	if res := ask(t, tb, src, way, request); string(res.Reply) != want {
		t.Errorf("%q from %s\ngot  %q\nwant %q (%s)", request, src, res.Reply, want, res.Why)
	}
}

// asks compares the reply to each request with what is expected of it, over TCP
// from the address before the request.
func asks(t *testing.T, tb *testbed.Testbed, want map[string]string) {
	t.Helper()
	for request, reply := range want {
		src, command, _ := strings.Cut(request, " ")
		replies(t, tb, src, answer.TCP, command+" ", reply)
	}
}

// visit is a request of pc1, or of another host, and the whole answer.
type visit struct {
	name, src, request, want string
	way                      answer.Transport
}

func (v visit) check(t *testing.T, tb *testbed.Testbed) {
	t.Helper()
	t.Run(v.name, func(t *testing.T) {
		t.Helper()
		replies(t, tb, cmp.Or(v.src, "127.0.0.1"), cmp.Or(v.way, answer.TCP), v.request, v.want)
	})
}

// says asks pairBed's pc1 and compares the reply.
func says(t *testing.T, tb *testbed.Testbed, request, want string) {
	t.Helper()
	saysTo(t, tb, "10.0.0.1", request, want)
}

// saysTo asks twice: of the rows, and of the file that import makes of them.
func saysTo(t *testing.T, tb *testbed.Testbed, src, request, want string) {
	t.Helper()
	db := tb.Snapshot()
	replies(t, testbed.New(db), src, answer.TCP, request, want)
	replies(t, imported(t, db), src, answer.TCP, request, want)
}
