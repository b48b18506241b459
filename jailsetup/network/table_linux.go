package network

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// tableName is the name of all tables of ours in namespaces of ours.
const tableName = "emujail"

// chain is a base chain: where it hooks, what becomes of what no rule decides.
type chain struct {
	name     string
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	policy   nftables.ChainPolicy
	kind     nftables.ChainType // empty: filter
	rules    []rule
}

// table is a table as it should be. Sets are told by name only.
type table struct {
	name   string // empty: tableName
	family nftables.TableFamily
	sets   []*nftables.Set
	chains []chain
}

func (t table) handle() *nftables.Table {
	return &nftables.Table{Name: cmp.Or(t.name, tableName), Family: t.family}
}

// apply makes the calling thread's namespace have the tables as they should be,
// in one transaction: rules are replaced, the sets' elements stay. So it may be
// repeated while jails run, by another version of this program too, and no frame
// meets a gap. Tables that are right already, by their mark, are left alone:
// replacing rules makes the kernel wait for 10 ms.
func apply(tables ...table) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return fmt.Errorf("list filter chains: %w", err)
	}
	for _, t := range tables {
		mark, err := t.mark()
		if err != nil {
			return err
		}
		old := t.oldMarks(chains)
		if len(old) == 1 && old[0].Name == mark {
			continue
		}
		if err := t.write(conn, mark, old); err != nil {
			return err
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write filters: %w", err)
	}
	return nil
}

func (t table) write(conn *nftables.Conn, mark string, old []*nftables.Chain) error {
	h := conn.AddTable(t.handle())
	for i, s := range t.sets {
		// A number of our own: the library's counter is a bare global, shared
		// by every goroutine.
		s.Table, s.ID = h, uint32(i+1)
		if err := conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("add set %s: %w", s.Name, err)
		}
	}
	for _, c := range t.chains {
		addChain(conn, h, c)
	}
	for _, c := range old {
		conn.DelChain(c)
	}
	conn.AddChain(&nftables.Chain{Name: mark, Table: h})
	return nil
}

// markPrefix begins the name of an empty chain that says which rules a table
// has: a hash of them.
const markPrefix = "rules-"

func (t table) oldMarks(chains []*nftables.Chain) []*nftables.Chain {
	var marks []*nftables.Chain
	for _, c := range chains {
		if c.Table.Name == t.handle().Name && c.Table.Family == t.family && strings.HasPrefix(c.Name, markPrefix) {
			marks = append(marks, c)
		}
	}
	return marks
}

func (t table) mark() (string, error) {
	h := sha256.New()
	for _, s := range t.sets {
		fmt.Fprintf(h, "set %s %s %s %v\n", s.Name, s.KeyType.Name, s.DataType.Name, s.Dynamic)
	}
	for _, c := range t.chains {
		fmt.Fprintf(h, "chain %s %d %d %d %s\n", c.name, *c.hook, c.priority, c.policy, c.kind)
		for _, r := range c.rules {
			for _, e := range r {
				b, err := expr.Marshal(byte(t.family), e)
				if err != nil {
					return "", fmt.Errorf("render rule of chain %s: %w", c.name, err)
				}
				h.Write(b)
			}
			h.Write([]byte{'\n'})
		}
	}
	return fmt.Sprintf("%s%x", markPrefix, h.Sum(nil)[:8]), nil
}

func addChain(conn *nftables.Conn, t *nftables.Table, c chain) {
	priority, policy := c.priority, c.policy
	added := conn.AddChain(&nftables.Chain{
		Table: t, Name: c.name, Type: cmp.Or(c.kind, nftables.ChainTypeFilter),
		Hooknum: c.hook, Priority: &priority, Policy: &policy,
	})
	conn.FlushChain(added)
	for _, r := range c.rules {
		conn.AddRule(&nftables.Rule{Table: t, Chain: added, Exprs: r})
	}
}

// entries are elements that belong into a set.
type entries struct {
	set  *nftables.Set
	list []nftables.SetElement
}

// put adds elements to sets of the calling thread's namespace, all or none.
// That some are there is no error.
func put(list []entries) error {
	return change(list, func(conn *nftables.Conn, e entries) error {
		return conn.SetAddElements(e.set, e.list)
	})
}

// take removes elements, all or none. That some are not there is no error,
// nor that there is no such set. In each transaction an element is added before
// it is deleted: deleting what isn't there would undo the whole of it, and
// looking first would race with whoever changes the set meanwhile.
func take(list []entries) error {
	err := change(list, func(conn *nftables.Conn, e entries) error {
		if err := conn.SetAddElements(e.set, e.list); err != nil {
			return err
		}
		return conn.SetDeleteElements(e.set, e.list)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func change(list []entries, f func(*nftables.Conn, entries) error) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	for _, e := range list {
		if len(e.list) == 0 {
			continue
		}
		if err := f(conn, e); err != nil {
			return fmt.Errorf("change set %s: %w", e.set.Name, err)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("change set elements: %w", err)
	}
	return nil
}

// elements lists a set of the calling thread's namespace.
func elements(s *nftables.Set) ([]nftables.SetElement, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables socket: %w", err)
	}
	list, err := conn.GetSetElements(s)
	if err != nil {
		return nil, fmt.Errorf("list set %s: %w", s.Name, err)
	}
	return list, nil
}
