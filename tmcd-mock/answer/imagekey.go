package answer

import (
	"fmt"
	"strings"

	"emujail/tmcd-mock/testbed"
)

// What a node must be doing to get the keys of its images.
const (
	secureMode  = "SECURELOAD"
	secureState = "RELOADSETUP"
)

// imageKey gives the keys of the images that the node is about to load. A node
// of which no mode or state is known, or only the beginning of one, passes.
func (c *call) imageKey() {
	if !strings.HasPrefix(secureMode, c.who.node.Text("op_mode")) || !strings.HasPrefix(secureState, c.who.node.Text("eventstate")) {
		c.refuse("imagekey of %s, which isn't loading in secret", c.who.id)
		return
	}
	loads := sorted(c.db.Where("current_reloads", "node_id", c.who.id), "idx")
	if c.version < 33 {
		if len(loads) == 1 { // such a client couldn't tell which key is for which image
			c.linesOfKeys(c.imageOf(loads[0]))
		}
		return
	}
	var out strings.Builder
	for _, load := range loads {
		image := c.imageOf(load)
		pid, gid := c.imageOwner(image)
		if !image.Has("imagename") || pid == "" || gid == "" {
			c.refuse("imagekey: an image of %s has no name, project or group", c.who.id)
			return
		}
		fmt.Fprintf(&out, "IMAGEID=%s,%s,%s", pid, gid, image.Text("imagename"))
		for _, k := range c.keysOf(image) {
			out.WriteString(" " + k)
		}
		out.WriteString("\n")
	}
	c.out = append(c.out, out.String()...)
}

func (c *call) imageOf(load testbed.Row) testbed.Row {
	return c.db.First("images", "imageid", load.Text("image_id"))
}

func (c *call) linesOfKeys(image testbed.Row) {
	for _, k := range c.keysOf(image) {
		c.linef("%s", k)
	}
}

// keysOf are the keys of an image's present version, those that it has.
func (c *call) keysOf(image testbed.Row) []string {
	var keys []string
	v := first(c.where("image_versions", "imageid", image.Text("imageid"), "version", image.Text("version")))
	for _, k := range []struct{ column, tag string }{{"auth_uuid", "UUID="}, {"auth_key", "SIGKEY="}, {"decryption_key", "ENCKEY="}} {
		if v.Value(k.column) != nil {
			keys = append(keys, k.tag+v.Text(k.column))
		}
	}
	return keys
}
