package jail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"emujail/jailsetup/limit"
	"emujail/jailsetup/network"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/rootfs"
	"emujail/jailsetup/shape"
)

// deeds is the table from an undo's kind to what it does.
func (h *Host) deeds() plan.Deeds {
	table := plan.Deeds{
		rootfs.KindImage: with(rootfs.RemoveImage),
		limit.KindCgroup: with(limit.Remove),
		limit.KindKill:   with(limit.Kill),
		kindGiven:        with(func(_ context.Context, dir string) error { return removeGiven(dir) }),
		kindDoors:        with(h.Hands.Close),
		kindEvents:       with(h.closeEvents),
		shape.KindLink:   with(h.Hands.Shapes.Unshape),
	}
	maps.Copy(table, network.Deeds())
	return table
}

// with makes a deed of a function of typed data.
func with[T any](deed func(context.Context, T) error) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, raw json.RawMessage) error {
		var data T
		if err := json.Unmarshal(raw, &data); err != nil {
			return fmt.Errorf("read its data: %w", err)
		}
		return deed(ctx, data)
	}
}
