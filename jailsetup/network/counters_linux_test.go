package network

import (
	"slices"
	"testing"
)

func TestParseCounters(t *testing.T) {
	const head = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	tests := []struct {
		name, text string
		want       []Counter
		fail       bool
	}{
		{"none", head, nil, false},
		{"two, without the loopback", head + "    lo:     5       1    0    0    0     0          0         0        5       1    0    0    0     0       0          0\n" +
			"  eth0: 1000000     20    0    0    0     0          0         0      300       4    0    0    0     0       0          0\n",
			[]Counter{{"eth0", 1000000, 20, 300, 4}}, false},
		{"a name with a colon and an escape", head + "e:\x1b[m: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n", []Counter{{"e:\x1b[m", 1, 2, 3, 4}}, false},
		{"cut", head + "eth0: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\neth1: 1 2", []Counter{{"eth0", 1, 2, 3, 4}}, false},
		{"fewer numbers", head + "eth0: 1 2 3\n", nil, true},
		{"no number", head + "eth0: x 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n", nil, true},
		{"no colon", head + "hello\n", nil, true},
		{"nothing", "", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCounters([]byte(tt.text))
			if (err != nil) != tt.fail || !slices.Equal(got, tt.want) {
				t.Errorf("parseCounters = %+v, %v", got, err)
			}
		})
	}
}
