package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"emujail/jailsetup/jail"
	"emujail/jailsetup/supervise"
)

// A vnode goes by its id, or by the name that its experiment gives it: node-a, or
// node-a.demo.jails where that alone could be meant of two.

// named is a vnode with its name.
type named struct{ id, name, experiment, project string }

// full is the name by which the testbed tells it from all others.
func (n named) full() string { return n.name + "." + n.experiment + "." + n.project }

// idForm is boss's for a vnode's id. A node that somebody has called so goes by its
// id or its full name: boss means the other one, which may be gone already.
var idForm = regexp.MustCompile(`^pcv[a-z]*[0-9]+-[0-9]+$`)

// isCalled tells whether the word is its name.
func (n named) isCalled(word string) bool {
	return n.name != "" && !idForm.MatchString(word) && (word == n.name || word == n.full())
}

// wordForm is what may be a vnode's name, alone or in full.
var wordForm = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_]{0,63}(\.[-A-Za-z0-9_]{1,63}\.[-A-Za-z0-9_]{1,63})?$`)

// checkWord says what is wrong with a word for a vnode.
func checkWord(word string) error {
	if wordForm.MatchString(word) {
		return nil
	}
	return jail.CheckName(word)
}

// namesHere are those that the jails of this host go by.
func namesHere(site jail.Site) ([]named, error) {
	jails, err := supervise.List(site)
	if err != nil {
		return nil, err
	}
	var all []named
	for _, j := range jails {
		all = append(all, named{j.VNode, j.NickName, j.Experiment, j.Project})
	}
	return all, nil
}

// find is the id that the word means among these; an id comes before a name.
// Empty: none.
func find(all []named, word string) (string, error) {
	var found []string
	var names []string
	for _, n := range all {
		if n.id == word {
			return word, nil
		}
		if n.isCalled(word) {
			found = append(found, n.id)
			names = append(names, fmt.Sprintf("%s (%s)", printable(n.full()), n.id))
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s is the name of %d vnodes here: %s: which?", word, len(found), strings.Join(names, ", "))
}

// resolve is the id of a vnode whose jail is on this host; what is no name here is
// taken for an id.
func resolve(site jail.Site, word string) (string, error) {
	if err := checkWord(word); err != nil {
		return "", err
	}
	here, err := namesHere(site)
	if err != nil {
		return "", err
	}
	id, err := find(here, word)
	if err != nil || id != "" {
		return id, err
	}
	if jail.CheckName(word) != nil {
		return "", jail.ErrNoJail
	}
	return word, nil
}

// builds tells whether the verb makes a jail that may not be on this host yet.
func builds(v supervise.Verb) bool {
	return v == supervise.VerbBoot || v == supervise.VerbSetup || v == supervise.VerbReboot
}

// onVNode has do carry out a verb for the vnode that the word means. Of one that is
// to be built it may be that tmcd alone knows the name; it isn't asked after an id.
func onVNode(ctx context.Context, site jail.Site, verb supervise.Verb, word string, do func(id string) error) error {
	if !builds(verb) {
		id, err := resolve(site, word)
		if verb == supervise.VerbKill && errors.Is(err, jail.ErrNoJail) {
			return nil // that is what is wanted
		}
		if err != nil {
			return err
		}
		return do(id)
	}
	here, err := namesHere(site)
	if err != nil {
		return err
	}
	if isID := func(n named) bool { return n.id == word }; slices.ContainsFunc(here, isID) {
		return do(word)
	}
	if isName := func(n named) bool { return n.isCalled(word) }; jail.CheckName(word) != nil || slices.ContainsFunc(here, isName) {
		id, err := lookUp(ctx, site, here, word)
		if err != nil {
			return err
		}
		return do(id)
	}
	err = do(word)
	if failure := (*supervise.Failure)(nil); !errors.As(err, &failure) || !failure.Unknown {
		return err
	}
	id, lookErr := lookUp(ctx, site, here, word)
	if errors.Is(lookErr, errNoName) {
		return err
	}
	if lookErr != nil {
		return lookErr
	}
	return do(id)
}

// errNoName says that neither this host nor tmcd knows the name.
var errNoName = fmt.Errorf("no vnode of this host has that name: %w", jail.ErrUnknown)

// lookUpTimeout bounds the questions to tmcd about a name.
const lookUpTimeout = 20 * time.Second

// lookUp is the id of the vnode of this host that tmcd calls so. What tmcd says of a
// vnode comes before what its jail was last; a tmcd that can't be asked leaves
// what is here.
func lookUp(ctx context.Context, site jail.Site, here []named, word string) (string, error) {
	all, asked := wantedNames(ctx, site)
	for _, n := range here {
		if same := func(w named) bool { return w.id == n.id }; !slices.ContainsFunc(all, same) {
			all = append(all, n)
		}
	}
	id, err := find(all, word)
	switch {
	case err != nil:
		return "", err
	case id != "":
		return id, nil
	case asked != nil:
		return "", fmt.Errorf("cannot tell which vnode %s is: %w", word, asked)
	}
	return "", errNoName
}

// wantedNames are those that tmcd has for this host's vnodes.
func wantedNames(ctx context.Context, site jail.Site) ([]named, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	tmcd, err := jail.FindTmcd(ctx, site, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	said, err := tmcd.Names(ctx)
	if err != nil {
		return nil, err
	}
	var all []named
	for id, s := range said {
		all = append(all, named{id, s.NickName, s.EID, s.PID})
	}
	slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.id, b.id) })
	return all, nil
}
