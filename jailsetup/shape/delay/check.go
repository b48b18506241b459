package delay

import (
	"errors"
	"time"
)

// maxDelay is the longest delay, with jitter: what is longer is a mistake of
// the supervisor's, which has told people its own bounds.
const maxDelay = time.Minute

func (p Pipe) check() error {
	switch {
	case p.Delay < 0 || p.Jitter < 0 || p.Delay > maxDelay || p.Jitter > maxDelay:
		return errors.New("delay out of range")
	case !(p.Loss >= 0 && p.Loss <= 1):
		return errors.New("loss out of range")
	case p.RED == nil:
		return nil
	}
	r := p.RED
	switch {
	case r.Rate <= 0 || r.Limit <= 0:
		return errors.New("RED without rate or limit")
	case !(r.Min >= 0 && r.Max > r.Min):
		return errors.New("RED thresholds out of order")
	case !(r.Weight > 0 && r.Weight <= 1) || !(r.MaxProb > 0 && r.MaxProb <= 1):
		return errors.New("RED weight or probability out of range")
	}
	return nil
}
