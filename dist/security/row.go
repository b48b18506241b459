package main

import (
	"cmp"
	"fmt"
	"strings"
)

const module = "emujail/"

// test is one that `go test` runs: a package of this module, and a name with
// subtests as -json prints them; full with the build tag soak, under which the
// long ones do all that they can.
type test struct {
	group
	name string
}

// group is what one `go test` runs.
type group struct {
	pkg  string
	full bool
}

// row is one property of the specification.
type row struct {
	id, title string
	attacks   []test // each must run and pass
	proofs    []test // the same attacks with the wall taken away: each succeeds
	noProof   string // why there is no such test
	part      string // what is done of a count that takes long; the rest in `make soak`

	// unproven are parts of the attack that are refused without the wall too, and why;
	// none, nil.
	unproven func() []string
}

func (r row) tests() []test { return append(r.attacks[:len(r.attacks):len(r.attacks)], r.proofs...) }

// verdict is the row's line, and whether it is ok.
func (r row) verdict(seen results) (line string, ok bool) {
	if t, found := first(r.attacks, seen, "fail"); found {
		return fmt.Sprintf("%s FAILED (%s)", r.id, t.name), false
	}
	if len(r.attacks) == 0 {
		return r.id + " MISSING (no test attacks it)", false
	}
	if t, found := first(r.attacks, seen, "", "skip"); found {
		return fmt.Sprintf("%s MISSING (%s didn't run)", r.id, t.name), false
	}
	if t, found := first(r.proofs, seen, "fail"); found {
		return fmt.Sprintf("%s FAILED (counter-proof %s)", r.id, t.name), false
	}
	if t, found := first(r.proofs, seen, "", "skip"); found {
		return fmt.Sprintf("%s UNPROVEN (%s didn't run)", r.id, t.name), false
	}
	if len(r.proofs) == 0 && r.noProof == "" {
		return r.id + " UNPROVEN (no test takes the wall away)", false
	}
	line = r.id + " ok " + r.title
	if r.part != "" {
		line += ", " + r.part
	}
	if r.noProof != "" {
		line += " (no counter-proof: " + r.noProof + ")"
	}
	if r.unproven != nil {
		if parts := r.unproven(); len(parts) > 0 {
			line += " (no counter-proof of a part: " + strings.Join(parts, ", ") + ")"
		}
	}
	return line, true
}

// first finds a test with one of the outcomes; "" is none.
func first(tests []test, seen results, outcomes ...string) (test, bool) {
	for _, t := range tests {
		for _, o := range outcomes {
			if seen[t] == o {
				return t, true
			}
		}
	}
	return test{}, false
}

// describe says what the row rests on.
func (r row) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.id, r.title)
	for _, t := range r.attacks {
		fmt.Fprintf(&b, "\tattack   %s %s\n", t.pkg, t.name)
	}
	for _, t := range r.proofs {
		fmt.Fprintf(&b, "\twithout  %s %s\n", t.pkg, t.name)
	}
	if len(r.proofs) == 0 {
		fmt.Fprintf(&b, "\twithout  %s\n", cmp.Or(r.noProof, "nothing yet"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// in names tests of a package.
func in(pkg string, names ...string) []test {
	var all []test
	for _, name := range names {
		all = append(all, test{group{pkg: pkg}, strings.ReplaceAll(name, " ", "_")})
	}
	return all
}

// full names a test of a package that is run in full.
func full(pkg, name string) []test { return []test{{group{pkg, true}, name}} }
