package jail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"emujail/jailsetup/topology"
	"emujail/protocol"
	"emujail/tmcc/client"
)

// What a network needs beside the full configuration: addresses that tmcd tells
// the vnode alone, tags of VLANs that aren't there yet, and the map that static
// routes are computed from (jail.md §2.8).

// How often, and how many times, tmcd is asked again for the tags of VLANs: ten
// minutes in all.
const (
	tagWait  = 15 * time.Second
	tagTries = 40
)

// Rest waits for so long and lets other jails be built meanwhile.
type Rest func(context.Context, time.Duration) error

// Sleep is the [Rest] of one that holds nobody up.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// askNetwork asks for the rest of what the network is made from.
func (t Tmcd) askNetwork(ctx context.Context, vnode string, w *Wish, rest Rest) error {
	if len(w.Interfaces) == 0 {
		return nil
	}
	c, err := t.as(vnode)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(w.Interfaces, lacksTag) && t.opts.Logger != nil {
		t.opts.Logger.Warn("a VLAN has no tag yet: tmcd is asked again", "vnode", vnode, "every", tagWait, "times", tagTries)
	}
	if err := w.awaitTags(ctx, c, tagWait, rest); err != nil {
		return err
	}
	if w.AliasesAsked {
		if w.Aliases, err = t.aliases(ctx, vnode); err != nil {
			return fmt.Errorf("ask for aliases: %w", err)
		}
	}
	if !w.computesRoutes() {
		return nil
	}
	if w.Topology, err = askTopology(ctx, c); err != nil {
		return fmt.Errorf("ask for the topology map: %w", err)
	}
	return nil
}

// awaitTags asks for the interfaces again until each VLAN has a tag.
func (w *Wish) awaitTags(ctx context.Context, c *client.Client, wait time.Duration, rest Rest) error {
	for range tagTries {
		if !slices.ContainsFunc(w.Interfaces, lacksTag) {
			return nil
		}
		if err := rest(ctx, wait); err != nil {
			return err
		}
		reply, err := c.Ask(ctx, "ifconfig")
		if err != nil {
			return fmt.Errorf("ask for interfaces again: %w", err)
		}
		all, err := protocol.ParseIfConfig(reply)
		if err != nil {
			return fmt.Errorf("tmcd's answer to ifconfig: %w", err)
		}
		w.Interfaces = all.Interfaces
	}
	at := slices.IndexFunc(w.Interfaces, lacksTag)
	if at < 0 {
		return nil
	}
	return fmt.Errorf("VLAN of interface %s on %s has no tag after %s: the testbed's switch isn't ready", w.Interfaces[at].INET, w.Interfaces[at].LAN, tagTries*wait)
}

// asksAliases tells whether tmcd is to be asked for aliases of the vnode. Few
// have some, and only the vnode itself is told: so it is asked where there were
// some at the last boot, and where the jail has rebooted itself, which it does
// when its own configuration has an alias that its interfaces lack. A jail that
// reboots for no reason costs a question.
func (r Record) asksAliases() bool { return r.Aliases || r.Ended == endedReboot }

// aliases are further addresses of the vnode's interfaces. tmcd tells them to
// the vnode itself only, so the host asks in its place.
func (t Tmcd) aliases(ctx context.Context, vnode string) ([]protocol.Interface, error) {
	o := t.opts
	o.Identity = protocol.Request{Version: protocol.Version, ProxyFor: vnode}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	reply, err := c.Ask(ctx, "ifconfig")
	if err != nil {
		return nil, explain(err)
	}
	all, err := protocol.ParseIfConfig(reply)
	if err != nil {
		return nil, fmt.Errorf("tmcd's answer to ifconfig: %w", err)
	}
	return slices.DeleteFunc(all.Interfaces, func(i protocol.Interface) bool { return i.Type != typeAlias }), nil
}

// askTopology is the testbed's map, or what the host names say where there is
// none.
func askTopology(ctx context.Context, c *client.Client) (topology.Map, error) {
	packed, err := c.Ask(ctx, "topomap")
	if err != nil && !errors.Is(err, client.ErrCut) { // over TLS, an empty answer
		return topology.Map{}, explain(err)
	}
	if len(packed) > 0 {
		text, err := unpack(packed)
		if err != nil {
			return topology.Map{}, fmt.Errorf("tmcd's answer to topomap: %w", err)
		}
		return topology.Parse(text)
	}
	reply, err := c.Ask(ctx, "hostnames")
	if err != nil {
		return topology.Map{}, explain(err)
	}
	names, err := protocol.ParseHostNames(reply)
	if err != nil {
		return topology.Map{}, fmt.Errorf("tmcd's answer to hostnames: %w", err)
	}
	return topology.FromHostNames(names)
}

// maxMap bounds an unpacked map: Emulab's of 2,000 nodes has some 200 KiB.
const maxMap = 16 << 20

func unpack(packed []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxMap+1))
	if err == nil && len(text) > maxMap {
		err = fmt.Errorf("more than %d bytes", maxMap)
	}
	return text, err
}
