package steps

import (
	"context"
	"errors"

	"emujail/protocol"
)

// creator writes who made the experiment and who swapped it in; the second is
// whom programs run as. A reply that can't be read is fatal (jail.md §3.4,
// row 3): whoever runs as the wrong user does harm.
func creator(_ context.Context, r *Run) error {
	reply, err := r.cached("creator")
	if err != nil {
		return err
	}
	if len(reply) == 0 {
		return skipped("no creator")
	}
	c, err := protocol.ParseCreator(reply)
	if err != nil {
		return err
	}
	swapper := c.Swapper
	if swapper == "" { // before version 21 there was one name
		swapper = c.Creator
	}
	var errs []error
	for name, who := range map[string]string{"creator": c.Creator, "swapper": swapper} {
		changed, err := r.put(bootDir+"/"+name, []byte(who+"\n"), 0o644, false)
		if changed {
			r.did("%s is %s", name, who)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func removeCreator(_ context.Context, r *Run) error {
	return r.remove(bootDir+"/creator", bootDir+"/swapper", bootDir+"/nodeid")
}
