module emujail

go 1.26.0

// Each says what for, and who may import it (docs/design.md §4).
require (
	github.com/cilium/ebpf v0.22.0 // BPF programs at a jail's sockets and links; jailsetup/permit, network, verify
	github.com/cloudflare/cfssl v1.6.5 // the test CA; tmcd-mock/pki only
	github.com/coreos/go-systemd/v22 v22.7.0 // telling systemd, its socket units; supervisor and proxy
	github.com/elastic/go-seccomp-bpf v1.6.0 // system call numbers and filters in tests and the delay node
	github.com/goccy/go-graphviz v0.2.10 // pictures; programs of their own and docs only, never in a small program
	github.com/goccy/go-yaml v1.19.2 // testbed and site files with line and column; never in tmcc or injail
	github.com/google/go-cmp v0.7.0 // tests
	github.com/google/nftables v0.3.0 // filters; jailsetup/network, examples/demo
	github.com/klauspost/compress v1.20.3 // zstd and gzip of tarballs; injail/steps only
	github.com/moby/sys/mountinfo v0.7.3 // where cgroups are mounted; jailsetup/limit
	github.com/pires/go-proxyproto v0.15.0 // PROXY v2; proxy and tmcd-mock/server
	github.com/prometheus/client_golang v1.25.0 // metrics; supervisor and tmcd-mock, never in tmcc or injail
	github.com/rogpeppe/go-internal v1.16.0 // testscript; tests
	github.com/spf13/cobra v1.10.2 // subcommands, help, manual pages; tmcd-mock and jailsetup only
	github.com/spf13/pflag v1.0.10 // cobra's flags, for one kind of value
	github.com/ulikunitz/xz v0.5.17 // xz tarballs; injail/steps only
	github.com/vishvananda/netlink v1.3.1 // links, routes, tc; jailsetup/network, shape, examples/demo
	go.etcd.io/bbolt v1.5.0 // reports that survive; tmcd-mock/store only
	golang.org/x/net v0.59.0 // BPF assembly and packet parsing in tests
	golang.org/x/sys v0.49.0 // system calls; _linux.go files
	pgregory.net/rapid v1.3.0 // properties; tests
)

require (
	github.com/BurntSushi/toml v1.6.0 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cpuguy83/go-md2man/v2 v2.0.6 // indirect
	github.com/disintegration/imaging v1.6.2 // indirect
	github.com/flopp/go-findfont v0.1.0 // indirect
	github.com/fogleman/gg v1.3.0 // indirect
	github.com/go-logr/logr v1.2.4 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/google/certificate-transparency-go v1.1.7 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jmoiron/sqlx v1.3.5 // indirect
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // indirect
	github.com/mdlayher/socket v0.5.1 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/pelletier/go-toml v1.9.3 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/russross/blackfriday/v2 v2.1.0 // indirect
	github.com/tetratelabs/wazero v1.10.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	github.com/weppos/publicsuffix-go v0.30.0 // indirect
	github.com/zmap/zcrypto v0.0.0-20230310154051-c8b263fd8300 // indirect
	github.com/zmap/zlint/v3 v3.5.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20260209203927-2842357ff358 // indirect
	golang.org/x/image v0.21.0 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	k8s.io/klog/v2 v2.100.1 // indirect
)

// The linter of `make lint`.
tool honnef.co/go/tools/cmd/staticcheck
