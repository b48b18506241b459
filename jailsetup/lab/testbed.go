package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Testbed is what must be known of a testbed file.
type Testbed struct {
	Host   string     // the node that is this host
	Addr   netip.Addr // its control address
	VNodes []VNode    // in the order of the file
}

// VNode is one jail of the file.
type VNode struct {
	ID         string
	Name       string // in its experiment
	Experiment string // pid/eid
	Addr       string // empty: it shares the host's
	SSH        string // a user who can log in by ssh; empty: none has a key or password
}

// rows are the columns of `tmcd-mock export` that matter here.
type rows struct {
	Nodes []struct {
		NodeID string `json:"node_id"`
		Phys   string `json:"phys_nodeid"`
		Jail   int    `json:"jailflag"`
		JailIP string `json:"jailip"`
	} `json:"nodes"`
	Interfaces []struct {
		NodeID string `json:"node_id"`
		IP     string `json:"IP"`
		Role   string `json:"role"`
	} `json:"interfaces"`
	Reserved []struct {
		NodeID string `json:"node_id"`
		PID    string `json:"pid"`
		EID    string `json:"eid"`
		VName  string `json:"vname"`
	} `json:"reserved"`
	Users []struct {
		UID      string `json:"uid"`
		Password string `json:"usr_pswd"` // a hash, or *
	} `json:"users"`
	Keys []struct {
		UID string `json:"uid"`
	} `json:"user_pubkeys"`
	Members []struct {
		UID string `json:"uid"`
		PID string `json:"pid"`
	} `json:"group_membership"`
}

// Read reads a testbed file by tmcd-mock, whose complaints name file and line.
// The host is the one that carries vnodes; there must be one.
func (l Lab) Read(ctx context.Context, file string) (Testbed, error) {
	out, err := l.run(ctx, "tmcd-mock", "export", file)
	if err != nil {
		return Testbed{}, err
	}
	var r rows
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return Testbed{}, fmt.Errorf("tmcd-mock export %s: %w", file, err)
	}
	return r.testbed(file)
}

// ssh is the first of a project's users who has a key or a password.
func (r rows) ssh(project string) string {
	can := map[string]bool{}
	for _, u := range r.Users {
		can[u.UID] = strings.HasPrefix(u.Password, "$")
	}
	for _, k := range r.Keys {
		can[k.UID] = true
	}
	for _, m := range r.Members {
		if m.PID == project && can[m.UID] {
			return m.UID
		}
	}
	return ""
}

func (r rows) testbed(file string) (Testbed, error) {
	var t Testbed
	var hosts []string
	for _, n := range r.Nodes {
		if n.Jail == 0 || n.Phys == n.NodeID {
			continue
		}
		v := VNode{ID: n.NodeID, Addr: n.JailIP}
		for _, res := range r.Reserved {
			if res.NodeID == n.NodeID {
				v.Name, v.Experiment, v.SSH = res.VName, res.PID+"/"+res.EID, r.ssh(res.PID)
			}
		}
		if v.Experiment == "" {
			continue // free: nothing to boot
		}
		t.VNodes = append(t.VNodes, v)
		if !slices.Contains(hosts, n.Phys) {
			hosts = append(hosts, n.Phys)
		}
	}
	if len(hosts) != 1 {
		return t, fmt.Errorf("%s: want vnodes on one host, this one; found them on %d (%s)", file, len(hosts), strings.Join(hosts, ", "))
	}
	t.Host = hosts[0]
	for _, i := range r.Interfaces {
		if i.NodeID == t.Host && i.Role == "ctrl" {
			a, err := netip.ParseAddr(i.IP)
			if err != nil {
				return t, fmt.Errorf("%s: control address of %s: %w", file, t.Host, err)
			}
			t.Addr = a
		}
	}
	if !t.Addr.IsValid() {
		return t, fmt.Errorf("%s: host %s has no control address", file, t.Host)
	}
	return t, nil
}
