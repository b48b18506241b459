package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// tableName is the name of all tables of ours.
const tableName = "emujail"

// chain is a base chain: where it hooks, what becomes of what no rule decides.
type chain struct {
	name     string
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	policy   nftables.ChainPolicy
	rules    []rule
}

// table is a table as it should be. Sets are told by name only.
type table struct {
	family nftables.TableFamily
	sets   []*nftables.Set
	chains []chain
}

func (t table) handle() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: t.family}
}

// apply makes the kernel's tables what they should be, in one transaction: the
// rules are replaced, the sets' elements stay. So it may be repeated while jails
// run, by another version of this program too, and no frame meets a gap.
func apply(tables ...table) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	for _, t := range tables {
		h := conn.AddTable(t.handle())
		for i, s := range t.sets {
			// A number of our own: the library's counter is a bare global,
			// shared by every goroutine.
			s.Table, s.ID = h, uint32(i+1)
			if err := conn.AddSet(s, nil); err != nil {
				return fmt.Errorf("add set %s: %w", s.Name, err)
			}
		}
		for _, c := range t.chains {
			addChain(conn, h, c)
		}
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write filters: %w", err)
	}
	return nil
}

func addChain(conn *nftables.Conn, t *nftables.Table, c chain) {
	priority, policy := c.priority, c.policy
	added := conn.AddChain(&nftables.Chain{
		Table: t, Name: c.name, Type: nftables.ChainTypeFilter,
		Hooknum: c.hook, Priority: &priority, Policy: &policy,
	})
	conn.FlushChain(added)
	for _, r := range c.rules {
		conn.AddRule(&nftables.Rule{Table: t, Chain: added, Exprs: r})
	}
}

// change is one change of a set: elements that are added, and elements that go.
type change struct {
	set       *nftables.Set
	add, take []nftables.SetElement
}

// commit makes all changes or none. Adding what is there is no error; taking
// what is not there is [unix.ENOENT].
func commit(changes ...change) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables socket: %w", err)
	}
	pending := false
	for _, c := range changes {
		if len(c.add) > 0 {
			pending = true
			if err := conn.SetAddElements(c.set, c.add); err != nil {
				return fmt.Errorf("add to set %s: %w", c.set.Name, err)
			}
		}
		if len(c.take) > 0 {
			pending = true
			if err := conn.SetDeleteElements(c.set, c.take); err != nil {
				return fmt.Errorf("take from set %s: %w", c.set.Name, err)
			}
		}
	}
	if !pending {
		return nil
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write set elements: %w", err)
	}
	return nil
}

// elements lists a set of the calling thread's namespace; a set that isn't
// there has none.
func elements(s *nftables.Set) ([]nftables.SetElement, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open nftables socket: %w", err)
	}
	list, err := conn.GetSetElements(s)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list set %s: %w", s.Name, err)
	}
	return list, nil
}

// ofPort picks the elements whose key begins with the interface's name.
func ofPort(list []nftables.SetElement, dev string) (mine, others []nftables.SetElement) {
	for _, e := range list {
		if bytes.HasPrefix(e.Key, ifName(dev)) {
			mine = append(mine, e)
		} else {
			others = append(others, e)
		}
	}
	return mine, others
}

// takeAway runs find, which says what is to go, and commits that; again if
// someone else took some of it in between.
func takeAway(ctx context.Context, ns *os.File, find func() ([]change, error)) error {
	return inNamespace(ns, func() error {
		return poll(ctx, func() (bool, error) {
			changes, err := find()
			if err != nil {
				return false, err
			}
			err = commit(changes...)
			if errors.Is(err, unix.ENOENT) {
				return false, nil
			}
			return err == nil, err
		})
	})
}

// endingWith picks the elements whose key's last field is tail.
func endingWith(list []nftables.SetElement, tail []byte) []nftables.SetElement {
	var out []nftables.SetElement
	for _, e := range list {
		if bytes.HasSuffix(e.Key, tail) {
			out = append(out, e)
		}
	}
	return out
}

func endsWith(list []nftables.SetElement, tail []byte) bool { return len(endingWith(list, tail)) > 0 }

// withKey picks the element of exactly this key.
func withKey(list []nftables.SetElement, k []byte) []nftables.SetElement {
	var out []nftables.SetElement
	for _, e := range list {
		if bytes.Equal(e.Key, k) {
			out = append(out, e)
		}
	}
	return out
}
