package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"emujail/jailsetup/plan"
)

// The kinds of undo of this package.
const (
	KindHostControl         = "host-control"         // the control namespace and uplink, if no jail is on it
	KindControlLink         = "control-link"         // a jail's control interface and what lets it send
	KindExperimentNamespace = "experiment-namespace" // an experiment's namespace, if no link is in it
	KindExperimentLink      = "experiment-link"      // a jail's interface on a LAN and what lets it send
	KindSharedAddress       = "shared-address"       // ports of the host's address that are a jail's
	KindSplice              = "splice"               // the pair between a jail's interface and its LAN
)

// Deeds takes back what the steps of this package did. Each deed bears that
// nothing is left, and may be repeated.
func Deeds() plan.Deeds {
	return plan.Deeds{
		KindHostControl: deed(func(ctx context.Context, u hostControlUndo) error {
			err := removeControl(ctx, u)
			if inUse := (*InUseError)(nil); errors.As(err, &inUse) {
				return nil
			}
			return err
		}),
		KindControlLink:         deed(undoControlLink),
		KindSharedAddress:       deed(undoSharedAddress),
		KindExperimentNamespace: deed(undoExperimentNamespace),
		KindExperimentLink:      deed(undoExperimentLink),
		KindSplice:              deed(undoExperimentLink), // a link, and what lets it send
	}
}

// Undo takes one deed back.
func Undo(ctx context.Context, u plan.Undo) error {
	d, ok := Deeds()[u.Kind]
	if !ok {
		return fmt.Errorf("undo %s: not a kind of package network", u.Kind)
	}
	return d(ctx, u.Data)
}

func deed[T any](do func(context.Context, T) error) func(context.Context, json.RawMessage) error {
	return func(ctx context.Context, raw json.RawMessage) error {
		var data T
		if err := json.Unmarshal(raw, &data); err != nil {
			return fmt.Errorf("read undo record: %w", err)
		}
		return do(ctx, data)
	}
}

func oneUndo(kind string, data any) ([]plan.Undo, error) {
	u, err := plan.NewUndo(kind, data)
	if err != nil {
		return nil, err
	}
	return []plan.Undo{u}, nil
}
