package answer_test

import (
	"testing"

	"emujail/tmcd-mock/answer"
)

const mountsBed = `
projects: {p: {head: lea}}
users:
  lea: {groups: {p: project_root}}
  new: {}
experiments: {p/e: {creator: lea}}
hosts:
  one: {ip: 127.0.0.1, experiment: p/e}
  share: {ip: 127.0.0.2, experiment: p/e, sharing: shared_local}
tables:
  group_membership:
    - {pid: p, gid: p, uid: lea, uid_idx: 10001, trust: user}
    - {pid: p, gid: p, uid: new, uid_idx: 10002, trust: null}
`

// TestMounts: what decides on the transport and on homes.
func TestMounts(t *testing.T) {
	const head = "REMOTE=fs.example.emulab.net:"
	const own = head + "/q/proj/p LOCAL=/proj/p\n" + head + "/share LOCAL=/share\n" + head + "/users/lea LOCAL=/users/lea\n"
	for _, tc := range []struct{ name, more, src, want string }{
		{"as ever, and none for who wasn't let in yet", "", "127.0.0.1", "FSTYPE=NFS TRANSPORT=UDP\n" + own},
		{"a transport of any case", "sitevariables: {node/nfs_transport: TCP}\n", "127.0.0.1", "FSTYPE=NFS TRANSPORT=TCP\n" + own},
		{"a transport that nobody knows", "sitevariables: {node/nfs_transport: sctp}\n", "127.0.0.1", "FSTYPE=NFS\n" + own},
		{"no such variable", "  sitevariables: [{name: x}]\n", "127.0.0.1", "FSTYPE=NFS\n" + own},
		{"a shared host of a site without /share", "site: {fs_dirs: {share: \"\"}}\n", "127.0.0.2", "FSTYPE=NFS TRANSPORT=UDP\n" +
			head + "/users LOCAL=/users\n" + head + "/q/proj LOCAL=/proj\n" + head + "/q/groups LOCAL=/groups\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(ask(t, smallBed(t, mountsBed+tc.more), tc.src, answer.TCP, "VERSION=40 mounts ").Reply); got != tc.want {
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}
