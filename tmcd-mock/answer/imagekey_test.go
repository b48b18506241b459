package answer_test

import (
	"testing"

	"emujail/tmcd-mock/testbed"
)

// TestImageKey: the keys of the images that the node is to load, while it does.
func TestImageKey(t *testing.T) {
	load := func(idx, image int) row {
		return row{"current_reloads", testbed.Columns{"node_id": "pc1", "idx": int64(idx), "image_id": int64(image), "imageid_version": int64(1)}}
	}
	image := func(id int, name string) row {
		return row{"images", testbed.Columns{"imageid": int64(id), "version": int64(2), "imagename": name, "pid_idx": int64(3), "gid_idx": int64(4)}}
	}
	version := func(id, version int, more testbed.Columns) row {
		more["imageid"], more["version"] = int64(id), int64(version)
		return row{"image_versions", more}
	}
	rows := []row{{"projects", testbed.Columns{"pid": "p", "pid_idx": int64(3)}}, {"groups", testbed.Columns{"gid": "g", "gid_idx": int64(4)}},
		load(1, 11), image(10, "ten"), image(11, "eleven"), version(10, 1, testbed.Columns{"auth_uuid": "old"}),
		version(10, 2, testbed.Columns{"auth_uuid": "u", "auth_key": "k", "decryption_key": "d"})}
	two := append(rows, load(0, 10))
	const ten, eleven = "IMAGEID=p,g,ten UUID=u SIGKEY=k ENCKEY=d\n", "IMAGEID=p,g,eleven\n"
	state := func(mode, state any) *testbed.Testbed {
		return alter(tpmBed(t, two...), "nodes", "node_id", "pc1", testbed.Columns{"op_mode": mode, "eventstate": state})
	}
	for _, tc := range []struct {
		name, request, want string
		tb                  *testbed.Testbed
	}{
		{"two images", "VERSION=33 imagekey ", ten + eleven, tpmBed(t, two...)},
		{"two for an old client", "VERSION=32 imagekey ", "", tpmBed(t, two...)},
		{"one", "VERSION=40 imagekey ", eleven, tpmBed(t, rows...)},
		{"one for an old client", "VERSION=32 imagekey ", "UUID=u\nSIGKEY=k\nENCKEY=d\n", tpmBed(t, append(rows[3:], load(0, 10))...)},
		{"none", "VERSION=40 imagekey ", "", tpmBed(t)},
		{"without a name", "VERSION=40 imagekey ", "", tpmBed(t, append(two, load(2, 12))...)},
		{"in another mode", "VERSION=40 imagekey ", "", state("NORMALv2", "RELOADSETUP")},
		{"in another state", "VERSION=40 imagekey ", "", state("SECURELOAD", "ISUP")},
		{"in no known state", "VERSION=40 imagekey ", ten + eleven, state(nil, "RELOAD")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := withCert(t, tc.tb, "tpm", tc.request); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
