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

// ForgetKey takes the experiment's key away, if no jail of it runs. What an
// operator has set, the schedule, is for the next one that boots.
func (h *Hub) ForgetKey(name string) error {
	h.mu.Lock()
	x := h.experiments[name]
	kept := x != nil && (len(x.Schedule) > 0 || len(x.Groups) > 0)
	if !kept {
		h.mu.Unlock()
		return h.Forget(name)
	}
	defer h.mu.Unlock()
	if x.Key == "" || h.inhabited(name) {
		return nil
	}
	x.Key = ""
	return h.save(x)
}
