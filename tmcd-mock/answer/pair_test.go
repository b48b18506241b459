package answer_test

import (
	"strconv"
	"testing"

	"emujail/tmcd-mock/answer"
	"emujail/tmcd-mock/testbed"
)

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

// row is one more row of a table.
type row struct {
	table   string
	columns testbed.Columns
}

// pairBed is pairRows and these rows.
func pairBed(t *testing.T, rows ...row) *testbed.Testbed {
	t.Helper()
	db, err := testbed.DecodeJSON("small", []byte(pairRows))
	if err != nil {
		t.Fatal(err)
	}
	tb := testbed.New(db)
	for i, r := range rows {
		tb.Apply([]testbed.Change{{Table: r.table, Op: testbed.Upsert, Set: r.columns,
			Where: map[string]string{"emujail-test": strconv.Itoa(i)}}})
	}
	return tb
}

// changed changes the rows of a table in which a column has a value.
func changed(tb *testbed.Testbed, table, column, value string, to testbed.Columns) *testbed.Testbed {
	tb.Apply([]testbed.Change{{Table: table, Where: map[string]string{column: value}, Set: to}})
	return tb
}

// says asks pc1's tmcd and compares the reply.
func says(t *testing.T, tb *testbed.Testbed, request, want string) {
	t.Helper()
	saysTo(t, tb, "10.0.0.1", request, want)
}

// saysTo asks twice: of the rows, and of the file that import makes of them.
func saysTo(t *testing.T, tb *testbed.Testbed, source, request, want string) {
	t.Helper()
	db := tb.Snapshot()
	text, err := testbed.Import(db)
	if err != nil {
		t.Fatal(err)
	}
	imported, err := testbed.Parse("imported", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, bed := range []*testbed.Testbed{testbed.New(db), testbed.New(imported)} {
		res := ask(t, bed, source, answer.TCP, request)
		if got := string(res.Reply); got != want {
			t.Errorf("%s from %s:\n%q, want\n%q (%s)", request, source, got, want, res.Why)
		}
	}
}
