package hub

import "errors"

// ForgetOthers forgets each experiment whose jails are all gone, by the word of
// whoever knows the jails of this host, those that are halted too. One whose
// schedule was set ahead of its first jail stays: it has no key yet.
func (h *Hub) ForgetOthers(known func(experiment string) bool) error {
	h.mu.Lock()
	var others []string
	for name, x := range h.experiments {
		if x.Key != "" && !known(name) {
			others = append(others, name)
		}
	}
	h.mu.Unlock()
	var errs []error
	for _, name := range others {
		errs = append(errs, h.Forget(name))
	}
	return errors.Join(errs...)
}
