package jail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// VNodes asks tmcd, as this host, for its jailed vnodes, in the order of their
// numbers. Fake vnodes, which have no jail, are left out.
func (t Tmcd) VNodes(ctx context.Context) ([]string, error) {
	list, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range list {
		if v.Jailed && CheckName(v.ID) == nil {
			names = append(names, v.ID)
		}
	}
	slices.SortFunc(names, compareNames)
	return names, nil
}

// list is all that tmcd has for this host.
func (t Tmcd) list(ctx context.Context) ([]protocol.VNode, error) {
	o := t.opts
	o.Identity = protocol.Request{Version: protocol.Version}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	reply, err := c.Ask(ctx, "vnodelist")
	if err != nil {
		return nil, explain(err)
	}
	return protocol.ParseVNodeList(reply)
}

// unjailed tells whether the vnode is on tmcd's list as one without a jail.
func (t Tmcd) unjailed(ctx context.Context, vnode string) (bool, error) {
	list, err := t.list(ctx)
	return slices.ContainsFunc(list, func(v protocol.VNode) bool { return v.ID == vnode && !v.Jailed }), err
}

// namesAtOnce bounds the questions under way.
const namesAtOnce = 8

// Names asks what each of this host's jailed vnodes is: the answers by vnode id.
// One that is free, or that tmcd says nothing of, isn't among them.
func (t Tmcd) Names(ctx context.Context) (map[string]protocol.Status, error) {
	ids, err := t.VNodes(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, namesAtOnce)
	var group sync.WaitGroup
	var mu sync.Mutex
	names := map[string]protocol.Status{}
	for _, id := range ids {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			s, err := t.status(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				names[id] = s
			case !errors.Is(err, ErrFree) && !errors.Is(err, ErrUnknown):
				cancel(fmt.Errorf("%s: %w", id, err)) // the others need not be asked
			}
		})
	}
	group.Wait()
	return names, context.Cause(ctx)
}

// Gone are those of the vnodes here that are none of this host's any more. That
// one lacks on tmcd's list isn't enough: a tmcd that ends while it answers leaves a
// list cut short, or an empty one, and over plain TCP nothing shows it. So tmcd is
// asked about each. FREE is a word; no word at all is believed of a tmcd that, asked
// after it, answers about another and gives the same list again.
func (t Tmcd) Gone(ctx context.Context, listed, here []string) ([]string, error) {
	var gone, silent []string
	for _, vnode := range here {
		if slices.Contains(listed, vnode) {
			continue
		}
		s, err := t.status(ctx, vnode)
		switch {
		case err == nil:
			// Allocated: as a vnode without a jail, or the list was cut short.
			if without, err := t.unjailed(ctx, vnode); err != nil {
				return nil, err
			} else if without {
				break
			}
			return nil, fmt.Errorf("tmcd's list lacks %s, which by its status is in %s/%s: the list was cut short, or has changed (try again)", vnode, s.PID, s.EID)
		case errors.Is(err, ErrUnknown):
			silent = append(silent, vnode)
		case !errors.Is(err, ErrFree):
			return nil, fmt.Errorf("%s, which tmcd's list lacks: %w", vnode, err)
		}
		gone = append(gone, vnode)
	}
	if len(silent) == 0 {
		return gone, nil
	}
	if err := t.speaks(ctx, listed); err != nil {
		return nil, fmt.Errorf("tmcd says nothing of %s, and %w (if they are to go: jailsetup kill VNODE, or jailsetup bootvnodes --kill for all)", strings.Join(silent, ", "), err)
	}
	return gone, nil
}

// speaks tells whether tmcd still answers as it did when it gave the list.
func (t Tmcd) speaks(ctx context.Context, listed []string) error {
	if len(listed) == 0 {
		return errors.New("its list is empty: that is how one looks that ends while it answers")
	}
	if _, err := t.status(ctx, listed[0]); err != nil && !errors.Is(err, ErrFree) {
		return fmt.Errorf("none of %s, which is on its list: %w", listed[0], err)
	}
	again, err := t.VNodes(ctx)
	if err != nil {
		return fmt.Errorf("its list can't be had again: %w", err)
	}
	if !slices.Equal(again, listed) {
		return errors.New("its list is another one when it is asked again (try again)")
	}
	return nil
}
