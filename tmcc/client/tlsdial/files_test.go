package tlsdial

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadFiles(t *testing.T) {
	ca := newAuthority(t)
	_, both := ca.issue(t, subject{cn: "pc1"})
	dir := func(files map[string]string) string {
		d := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(d, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	full := dir(map[string]string{CAFile: string(ca.pem), ClientFile: string(both)})
	onlyCA := dir(map[string]string{CAFile: string(ca.pem)})
	onlyClient := dir(map[string]string{ClientFile: string(both)})
	noKey := dir(map[string]string{CAFile: string(ca.pem), ClientFile: string(ca.pem)})
	garbage := dir(map[string]string{CAFile: "garbage", ClientFile: "garbage"})
	for name, row := range map[string]struct {
		dirs   []string
		want   string // part of the error
		absent bool
	}{
		"both in one":          {[]string{full}, "", false},
		"in different ones":    {[]string{"/nonexistent", onlyClient, onlyCA}, "", false},
		"the first counts":     {[]string{full, garbage}, "", false},
		"the first counts too": {[]string{garbage, full}, "emulab.pem: no certificate in it", false},
		"no client.pem":        {[]string{onlyCA}, "no client.pem in " + onlyCA, true},
		"no emulab.pem":        {[]string{onlyClient}, "no emulab.pem in ", true},
		"client.pem, no key":   {[]string{noKey}, "client.pem: ", false},
		"nowhere":              {nil, "no emulab.pem", true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := LoadFiles(row.dirs...)
			if row.want == "" {
				if err != nil || cfg.CA == nil || cfg.Certificate.PrivateKey == nil {
					t.Errorf("LoadFiles = %v, %v", cfg, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || errors.Is(err, fs.ErrNotExist) != row.absent {
				t.Errorf("LoadFiles: %v; want %q, absent %v", err, row.want, row.absent)
			}
		})
	}
}
