package answer_test

import "testing"

// TestMoteLog: with and without the row of the file.
func TestMoteLog(t *testing.T) {
	tb := with(t, "virt_node_motelog", []columns{
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-a", "logfileid": "l1"},
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-a", "logfileid": "l2"},
		{"pid": "testbed", "eid": "jaildemo", "vname": "node-b", "logfileid": "l1"},
	}, "motelogfiles", []columns{
		{"logfileid": "l1", "pid": "testbed", "classfilepath": "/proj/c.class", "specfilepath": "/proj/s"},
		{"logfileid": "l1", "pid": "other", "classfilepath": "/x", "specfilepath": "/y"},
	})
	visit{"its own", "", "VNODEID=pcvm1-1 VERSION=40 motelog ",
		"MOTELOGID=l1 CLASSFILE=/proj/c.class SPECFILE=/proj/s\nMOTELOGID=l2 CLASSFILE= SPECFILE=\n", ""}.check(t, tb)
	visit{"none", "", "VNODEID=pcvm1-3 VERSION=40 motelog ", "", ""}.check(t, tb)
}
