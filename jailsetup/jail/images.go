package jail

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"emujail/jailsetup/network"
	"emujail/jailsetup/rootfs"
)

// A jail's programs are those of a root tree on the host's disk: its /usr is
// shown, its /etc gives what the template takes from a host. Boss names an image
// (IMAGENAME), the site file says where its tree lies; without such a list it is
// the host's own root for all.

const (
	hostRoot     = "/"
	defaultImage = "default" // key for what has no entry
)

// rootTree is the directory that IMAGENAME stands for: PROJECT,GROUP,NAME, and
// :VERSION from newer testbeds. The list may hold it whole, without version, or
// by the name alone with or without it; the most telling counts. notes say
// what the vnode gets in place of what boss named.
func (s Site) rootTree(image string) (dir string, notes []string, err error) {
	if len(s.Images) == 0 {
		if image != "" {
			notes = []string{fmt.Sprintf("image %s: this host's own root is used (site file: images names others)", image)}
		}
		return hostRoot, notes, nil
	}
	for _, key := range imageKeys(image) {
		if dir, ok := s.Images[key]; ok {
			return dir, nil, nil
		}
	}
	dir, ok := s.Images[defaultImage]
	switch {
	case ok && image != "":
		return dir, []string{fmt.Sprintf("image %s has no tree on this host: the default, %s, is used", image, dir)}, nil
	case ok:
		return dir, nil, nil
	case image == "":
		return hostRoot, nil, nil
	}
	return "", nil, fmt.Errorf("image %s has no tree on this host (site file: images has %s)",
		image, strings.Join(slices.Sorted(maps.Keys(s.Images)), ", "))
}

func imageKeys(image string) []string {
	if image == "" {
		return nil
	}
	whole, _, _ := strings.Cut(image, ":")
	name := image[strings.LastIndexByte(whole, ',')+1:]
	plain, _, _ := strings.Cut(name, ":")
	return []string{image, whole, name, plain}
}

// namesOf says where jails on this control network ask for names. Whatever the
// image is, they ask by this host's network.
func namesOf(c network.Control) rootfs.Names {
	return rootfs.Names{Root: hostRoot, Host: c.Host, Served: slices.Contains(c.HostPorts, network.Port{Proto: network.UDP, Number: 53})}
}

func (s ImageSite) check() error {
	for name, dir := range s.Images {
		if !filepath.IsAbs(dir) || name == "" {
			return fmt.Errorf("images: want NAME: DIRECTORY with an absolute path, not %q: %q", name, dir)
		}
	}
	return nil
}

// ImageSite is what the site file says about images.
type ImageSite struct {
	// Images maps IMAGENAME to directories with a root tree (usr and etc of a
	// Debian system); "default" is for names without an entry.
	Images map[string]string `yaml:"images"`
}
