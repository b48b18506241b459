package supervise

import (
	"emujail/proxy/control"
)

// ProxyStatus is what is known of the proxy.
type ProxyStatus struct {
	PID     int  `json:"pid"`     // 0: none is up at the moment
	Started int  `json:"started"` // how many there were since the supervisor's start
	Up      bool `json:"up"`

	Proxy control.ProxyCounters `json:"proxy"`
	Jails []control.Counters    `json:"jails"` // each counts since the proxy has the jail
}

// status asks the proxy for its counters. One that is down has none.
func (k *proxyKeeper) status() (ProxyStatus, error) {
	k.mu.Lock()
	t := k.talk
	st := ProxyStatus{PID: k.pid, Started: k.started, Up: t != nil, Jails: []control.Counters{}}
	k.mu.Unlock()
	if t == nil {
		return st, nil
	}
	err := t.collect(control.Message{Op: control.OpCounters}, func(a answer) error {
		st.Jails = append(st.Jails, a.m.Counters...)
		if a.m.Proxy != nil {
			st.Proxy = *a.m.Proxy
		}
		return nil
	})
	if err != nil && t.over() {
		return ProxyStatus{Started: st.Started, Jails: []control.Counters{}}, nil
	}
	return st, err
}
