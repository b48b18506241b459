package check

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	tests := []struct {
		name string
		wall Wall
		here int
		want int
	}{
		{"empty host", Wall{Most: 100, PerJail: 10}, 0, 10},
		{"others are there", Wall{Most: 100, Used: 55, PerJail: 10}, 0, 4},
		{"jails are there", Wall{Most: 100, Used: 50, PerJail: 10}, 5, 10},
		{"nothing is left", Wall{Most: 10, Used: 50, PerJail: 10}, 3, 3},
		{"each has its own", Wall{Most: 10, PerJail: 10, Own: true}, 3, 1<<31 - 1},
		{"its own is too little", Wall{Most: 9, PerJail: 10, Own: true}, 3, 0},
		{"no end", Wall{Most: 1<<63 - 1, PerJail: 1}, 3, 1<<31 - 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.wall.fit(tt.here).Fits; got != tt.want {
				t.Errorf("fits %d, want %d", got, tt.want)
			}
		})
	}
}

// TestWalls: this host's walls are read, in order, each with what lifts it.
func TestWalls(t *testing.T) {
	walls := Walls(Load{Jails: 3000, DiskBytes: 1 << 20, DiskRoom: 7<<20 + 5})
	if !slices.IsSortedFunc(walls, func(a, b Wall) int { return a.Fits - b.Fits }) {
		t.Error("the nearest is not first")
	}
	byName := map[string]Wall{}
	for _, w := range walls {
		byName[w.Name] = w
		if w.Most < 0 || w.PerJail < 1 || w.Remedy == "" {
			t.Errorf("%+v", w)
		}
	}
	for name, fits := range map[string]int{"disk": 7, "ports of a bridge": 1023, "addresses of a host in the address plan": 254} {
		if byName[name].Fits != fits {
			t.Errorf("%s: fits %d, want %d", name, byName[name].Fits, fits)
		}
	}
	for name, remedy := range map[string]string{
		"process ids": "sysctl -w kernel.pid_max=65536", "open files of the supervisor": "LimitNOFILE=32768",
		"neighbours, IPv4": "sysctl -w net.ipv4.neigh.default.gc_thresh3=16384", "user namespaces": "sysctl -w user.max_user_namespaces=4096",
		"memory, of idle jails": "memory", "threads": "sysctl", "terminals, if each jail uses one": "sysctl -w kernel.pty.max=",
	} {
		if w, ok := byName[name]; !ok || !strings.Contains(w.Remedy, remedy) {
			t.Errorf("%s: %+v, want remedy %q", name, w, remedy)
		}
	}
}

func TestAdmit(t *testing.T) {
	l := Load{Jails: 7, DiskBytes: 1 << 20, DiskRoom: 7 << 20}
	if err := Admit(l); err != nil {
		t.Errorf("seven: %v", err)
	}
	l.Jails = 8
	err := Admit(l)
	var crowd *CrowdError
	if !errors.As(err, &crowd) || !strings.Contains(err.Error(), "holds 7 jails, not 8: disk (a smaller limits.disk_mib") {
		t.Errorf("eight: %v", err)
	}
	l.DiskBytes = 0
	if err := Admit(l); err != nil {
		t.Errorf("overcommitted: %v", err)
	}
}

// TestWallUnderWall: more open files than fs.nr_open allows any process need that
// raised first.
func TestWallUnderWall(t *testing.T) {
	for _, row := range []struct {
		jails int
		want  bool
	}{{10, false}, {1 << 30, true}} {
		for _, w := range tableWalls(Load{Jails: row.jails}) {
			if got := strings.HasPrefix(w.Remedy, "sysctl -w fs.nr_open="); w.Name == "open files of the supervisor" && got != row.want {
				t.Errorf("%d jails: %s", row.jails, w.Remedy)
			}
		}
	}
}
