package hostkey_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"emujail/jailsetup/injail/hostkey"
)

// TestEnsure holds what we write against OpenSSH's own reading of it.
func TestEnsure(t *testing.T) {
	for round := range 20 { // numbers with leading zeros or a leading bit come by chance
		dir := t.TempDir()
		made, err := hostkey.Ensure(dir, "pcvm1-1")
		if err != nil || len(made) != 2 {
			t.Fatalf("Ensure = %q, %v; want two keys", made, err)
		}
		for _, key := range made {
			checkKey(t, key)
		}
		if round > 0 {
			continue
		}
		again, err := hostkey.Ensure(dir, "pcvm1-1")
		if err != nil || len(again) != 0 {
			t.Errorf("second Ensure = %q, %v; want nothing made", again, err)
		}
	}
}

func checkKey(t *testing.T, key string) {
	t.Helper()
	if st, err := os.Stat(key); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", key, st.Mode(), err)
	}
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ssh-keygen", "-y", "-f", key).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen -y -f %s: %v\n%s", key, err, out)
	}
	if !bytes.Equal(bytes.TrimSpace(out), bytes.TrimSpace(pub)) {
		t.Errorf("ssh-keygen derives %q, we wrote %q", out, pub)
	}
	if !strings.HasSuffix(string(pub), " root@pcvm1-1\n") {
		t.Errorf("%s.pub: %q has no comment", key, pub)
	}
}

func TestEnsureKeepsAndRepairs(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "ssh_host_ecdsa_key")
	empty := filepath.Join(dir, "ssh_host_ed25519_key")
	for path, content := range map[string]string{kept: "the operator's", empty: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := hostkey.Ensure(dir, "h")
	if err != nil || len(made) != 1 || made[0] != empty {
		t.Errorf("Ensure = %q, %v; want only %s", made, err, empty)
	}
	if b, err := os.ReadFile(kept); err != nil || string(b) != "the operator's" {
		t.Errorf("%s = %q, %v; want it untouched", kept, b, err)
	}
}

func TestEnsureSaysWhere(t *testing.T) {
	_, err := hostkey.Ensure(filepath.Join(t.TempDir(), "missing"), "h")
	if err == nil || !strings.Contains(err.Error(), "missing/ssh_host_ed25519_key") {
		t.Errorf("Ensure in a missing directory: %v; want the path named", err)
	}
}
