package supervise

import (
	"context"
	"errors"

	"emujail/jailsetup/shape"
)

// ShapeRequest is what the verb shape wants. Without words it only looks.
type ShapeRequest struct {
	Experiment string      `json:"experiment"` // PID/EID, or EID if that is enough
	Link       string      `json:"link,omitempty"`
	Node       string      `json:"node,omitempty"` // vname or vnode id
	Words      shape.Words `json:"words,omitempty"`
}

// shape changes links and says how they stand.
func (s *Supervisor) shape(ctx context.Context, req *ShapeRequest) (Reply, error) {
	if req == nil {
		return Reply{}, errors.New("shape: nothing asked for")
	}
	if len(req.Words) > 0 {
		if _, err := s.links.Change(ctx, req.Experiment, req.Link, req.Node, req.Words); err != nil {
			return Reply{}, err
		}
	}
	list, err := s.links.Show(req.Experiment, req.Link, req.Node)
	return Reply{Links: list}, err
}
