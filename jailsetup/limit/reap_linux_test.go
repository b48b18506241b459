package limit

import "testing"

func TestInCgroup(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       bool
	}{
		{"its own", "3:pids:/\n0::/emulab/pcvm1-1\n", true},
		{"removed", "0::/emulab/pcvm1-1 (deleted)\n", true},
		{"a v1 hierarchy", "4:memory:/emulab/pcvm1-1\n0::/\n", true},
		{"another's with the same beginning", "0::/emulab/pcvm1-11\n", false},
		{"below it", "0::/emulab/pcvm1-1/inner\n", false},
		{"a directory of that name elsewhere", "0::/x/emulab/pcvm1-1\n", false},
		{"none", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := inCgroup(c.text, "pcvm1-1"); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
