package network

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
)

const (
	vnodeHashLen = 8 // base32 digits: 40 bits
	generations  = 36 * 36 * 36 * 36
	maxIndex     = 36*36 - 1 // of an interface inside a jail
)

// hostEnd names the host's end of a jail's link: "v", eight digits for the
// vnode, two for the interface's number inside, four for the generation, 15
// bytes in all, for any vnode id. The generation (boot serial) keeps a new
// link from meeting the old one, whose name lives until the kernel has cleaned
// up (peers.md T20, T22). Names wrap after 1,679,616 boots of one vnode.
func hostEnd(vnode string, index int, generation uint64) (string, error) {
	if vnode == "" {
		return "", fmt.Errorf("name host end: no vnode id")
	}
	if index < 0 || index > maxIndex {
		return "", fmt.Errorf("name host end of %s: interface %d: want 0 to %d", vnode, index, maxIndex)
	}
	return vnodeMark(vnode) + digits36(uint64(index), 2) + digits36(generation%generations, 4), nil
}

// vnodeMark begins the names of all host ends of the vnode.
func vnodeMark(vnode string) string { return "v" + shortHash(vnode, vnodeHashLen) }

func digits36(n uint64, width int) string {
	s := strconv.FormatUint(n, 36)
	return strings.Repeat("0", max(0, width-len(s))) + s
}

// bridgeName names the bridge of a LAN: what fits of its name, and six digits
// that tell it from every other LAN of the experiment.
func bridgeName(lan string) string {
	return readable(lan, 8) + "-" + shortHash(lan, 6)
}

// lanBridge names the bridge of a LAN, or of the VLAN that it is.
func lanBridge(lan string, tag int) string {
	if tag != 0 {
		return "vlan" + strconv.Itoa(tag) + "-" + shortHash("vlan "+strconv.Itoa(tag), 4)
	}
	return bridgeName(lan)
}

// experimentPin names the pin of an experiment's namespace.
func experimentPin(experiment string) string {
	return "x-" + readable(experiment, 40) + "-" + shortHash(experiment, 10)
}

// readable keeps what of s may stand in any name, at most n bytes, at least one.
func readable(s string, n int) string {
	out := make([]byte, 0, n)
	for i := 0; i < len(s) && len(out) < n; i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 'A' && c <= 'Z':
			out = append(out, c)
		default:
			out = append(out, '_')
		}
	}
	if len(out) == 0 {
		return "x"
	}
	return string(out)
}

func shortHash(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:n]
}

// hostEndMAC is the MAC of a host end: locally administered, from its name, and
// high, as no jail's interface is given it by chance.
func hostEndMAC(name string) MAC {
	sum := sha256.Sum256([]byte(name))
	return MAC{0xfe, sum[0], sum[1], sum[2], sum[3], sum[4]}
}
