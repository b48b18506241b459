package jail

import (
	"context"
	"slices"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// VNodes asks tmcd, as this host, for its jailed vnodes, in the order of their
// numbers. Fake vnodes, which have no jail, are left out.
func (t Tmcd) VNodes(ctx context.Context) ([]string, error) {
	o := t.opts
	o.Identity = protocol.Request{Version: protocol.Version}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	reply, err := c.Ask(ctx, "vnodelist")
	if err != nil {
		return nil, err
	}
	list, err := protocol.ParseVNodeList(reply)
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
