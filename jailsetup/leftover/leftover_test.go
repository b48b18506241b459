package leftover

import "testing"

func TestDiff(t *testing.T) {
	before := Listing{"rules": {"a", "b"}, "mounts": {"m"}}
	for _, row := range []struct {
		name string
		now  Listing
		want string
	}{
		{"the same", Listing{"rules": {"a", "b"}, "mounts": {"m"}}, ""},
		{"one more", Listing{"rules": {"a", "b", "c"}, "mounts": {"m"}}, "rules: left: c"},
		{"one less", Listing{"rules": {"a"}, "mounts": {"m"}}, "rules: gone: b"},
		{"a kind less", Listing{"rules": {"a", "b"}}, "mounts: gone: m"},
		{"another", Listing{"rules": {"a", "c"}, "mounts": {"n"}}, "mounts: left: n\nmounts: gone: m\nrules: left: c\nrules: gone: b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := ""
			if err := before.Diff(row.now); err != nil {
				got = err.Error()
			}
			if got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
