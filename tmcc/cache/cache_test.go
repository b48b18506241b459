package cache

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emujail/protocol"
)

func open(t *testing.T, boot, vnode string) Cache {
	t.Helper()
	c, err := Open(boot, vnode)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFillAndRead(t *testing.T) {
	boot := filepath.Join(t.TempDir(), "boot") // Fill makes it
	c := open(t, boot, "")
	err := c.Fill([]protocol.Block{
		{Command: "accounts", Body: []byte("ADDGROUP NAME=g GID=6000\n")},
		{Command: "trafgens", Body: nil},
		{Command: "ipodinfo", Body: []byte("HASH=x\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		command, want string
		found         bool
		mode          fs.FileMode
	}{
		"a block":              {"accounts", "ADDGROUP NAME=g GID=6000\n", true, 0o644},
		"an empty block":       {"trafgens", "", true, 0o644},
		"the secret one":       {"ipodinfo", "HASH=x\n", true, 0o600},
		"never part of it":     {"status", "", false, 0},
		"a path":               {"../tmcc/accounts", "", false, 0},
		"nothing":              {"", "", false, 0},
		"a word with the rest": {"accounts ", "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			body, found, err := c.Read(row.command)
			if err != nil || found != row.found || string(body) != row.want {
				t.Errorf("Read(%q) = %q, %v, %v", row.command, body, found, err)
			}
			if !row.found {
				return
			}
			info, err := os.Stat(filepath.Join(boot, "tmcc", row.command))
			if err != nil || info.Mode().Perm() != row.mode {
				t.Errorf("mode of %s: %v, %v", row.command, info.Mode(), err)
			}
		})
	}
}

// A second Fill leaves nothing of the first, and nothing beside the cache.
func TestRefill(t *testing.T) {
	boot := t.TempDir()
	c := open(t, boot, "pcvm1-1")
	for _, command := range []string{"accounts", "mounts"} {
		if err := c.Fill([]protocol.Block{{Command: command, Body: []byte("x\n")}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, _ := c.Read("accounts"); found {
		t.Error("the old block is still there")
	}
	entries, err := os.ReadDir(boot)
	if err != nil || len(entries) != 1 || entries[0].Name() != "tmcc.pcvm1-1" {
		t.Errorf("boot holds %v, %v", entries, err)
	}
}

func TestFillRefusesPaths(t *testing.T) {
	boot := t.TempDir()
	c := open(t, boot, "")
	if err := c.Fill([]protocol.Block{{Command: "mounts", Body: []byte("old")}}); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"../evil", "a/b", "", ".", "x\x00"} {
		if err := c.Fill([]protocol.Block{{Command: command}}); err == nil {
			t.Errorf("Fill took %q", command)
		}
	}
	if body, found, err := c.Read("mounts"); !found || string(body) != "old" || err != nil {
		t.Errorf("a failed Fill left %q, %v, %v", body, found, err)
	}
	if entries, _ := os.ReadDir(boot); len(entries) != 1 {
		t.Errorf("boot holds %v", entries)
	}
}

func TestClear(t *testing.T) {
	c := open(t, t.TempDir(), "")
	if err := c.Clear(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if err := c.Fill([]protocol.Block{{Command: "mounts"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Clear(); err != nil {
		t.Error(err)
	}
	if _, found, _ := c.Read("mounts"); found {
		t.Error("still there")
	}
}

func TestReadUnreadable(t *testing.T) {
	boot := t.TempDir()
	if err := os.MkdirAll(filepath.Join(boot, "tmcc", "accounts"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, found, err := open(t, boot, "").Read("accounts"); err == nil || found {
		t.Errorf("a directory was read: %v, %v", found, err)
	}
}

func TestOpen(t *testing.T) {
	for name, row := range map[string]struct {
		vnode string
		ok    bool
	}{
		"none":     {"", true},
		"a vnode":  {"pcvm1-1", true},
		"a parent": {"../x", false},
		"too long": {strings.Repeat("a", 31), false},
		"a slash":  {"a/b", false},
		"30 bytes": {strings.Repeat("a", 30), true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open("/b", row.vnode); (err == nil) != row.ok {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestProxyPath(t *testing.T) {
	for name, row := range map[string]struct {
		content, want string
		ok            bool
	}{
		"with newline":    {"/run/emulab/tmcc\n", "/run/emulab/tmcc", true},
		"without newline": {"/run/emulab/tmcc", "/run/emulab/tmcc", true},
		"all that may be": {"/a-Z_0.9/x\n", "/a-Z_0.9/x", true},
		"two newlines":    {"/run/x\n\n", "", false},
		"blank in front":  {" /run/x\n", "", false},
		"blank inside":    {"/run/a b\n", "", false},
		"two lines":       {"/run/x\n/run/y\n", "", false},
		"relative":        {"run/x\n", "", false},
		"empty":           {"", "", false},
		"shell":           {"/run/$x\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			boot := t.TempDir()
			if err := os.WriteFile(filepath.Join(boot, proxyPathFile), []byte(row.content), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := ProxyPath(boot)
			if got != row.want || (err == nil) != row.ok {
				t.Errorf("ProxyPath = %q, %v", got, err)
			}
		})
	}
}

func TestNoProxyPath(t *testing.T) {
	if got, err := ProxyPath(t.TempDir()); got != "" || err != nil {
		t.Errorf("ProxyPath = %q, %v", got, err)
	}
}
