package jail

import (
	"fmt"
	"strings"

	"emujail/jailsetup/network"
	"emujail/jailsetup/permit"
	"emujail/jailsetup/plan"
	"emujail/jailsetup/shape"
	"emujail/protocol"
)

// ownMACs are those of the interfaces that a jail has.
func ownMACs(interfaces []protocol.Interface) []string {
	var macs []string
	for _, i := range interfaces {
		if i.Virtual {
			macs = append(macs, i.VMAC)
		} else if i.MAC != "" {
			macs = append(macs, i.MAC)
		}
	}
	return macs
}

// GuardCapture has capture stay read-only on a link of a running jail that is
// about to be shaped, see [permit.CaptureInside].
func (s Site) GuardCapture(l shape.Link) error {
	r, err := s.Load(l.Splice.VNode)
	if err != nil {
		return err
	}
	process, err := r.pin()
	if err != nil {
		return fmt.Errorf("jail %s: %w", r.VNode, err)
	}
	defer process.Close()
	return permit.CaptureInside{Links: []string{l.Interface}}.Attach(process)
}

// shapeStep follows the step of an interface: it is shaped as tmcd says, or
// known as one that can be.
func (h *Host) shapeStep(w Wish, l network.ExperimentLink) plan.Step {
	link := shape.Link{
		Splice: network.Splice{
			RunDir: l.RunDir, Experiment: l.Experiment, LAN: l.LAN, Tag: l.Tag, VNode: l.VNode, Index: l.Index,
			MAC: l.MAC, Addrs: l.Addrs, MTU: l.MTU, Generation: l.Generation, Group: l.Group,
		},
		NickName: w.Status.NickName, Interface: l.Name,
	}
	mac := strings.ReplaceAll(l.MAC.String(), ":", "")
	for _, s := range w.Shapes {
		if s.MAC == mac {
			link.Shape = s.Both
		}
	}
	return shape.Step{Link: link, Hands: h.Hands.Shapes}
}
