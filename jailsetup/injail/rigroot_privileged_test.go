//go:build linux && privileged

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"emujail/jailsetup/injail/etcfiles"
)

// buildRoot mounts the jail's tree and pivots into it; stage 0 comes along.
func (r *rig) buildRoot(s setup, pidns *os.File) error {
	root, err := os.MkdirTemp("", "injail-root") // unmounted with the thread
	if err != nil {
		return err
	}
	r.t.Cleanup(func() { os.Remove(root) })
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "mode=0755,size=64m"); err != nil {
		return err
	}
	for _, d := range []string{"usr", "etc/ssh", "var/log", "var/spool/cron/crontabs", "run", "tmp", "dev", "proc", "root", "home/ann", "old"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	if err := r.mountAll(root, pidns); err != nil {
		return err
	}
	if err := fillEtc(root, s); err != nil {
		return err
	}
	return pivot(root)
}

func (r *rig) mountAll(root string, pidns *os.File) error {
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"/usr", "usr", "", unix.MS_BIND | unix.MS_REC, ""},
		{"", "usr", "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NODEV, ""},
		{"tmpfs", "usr/local", "tmpfs", 0, "mode=0755"},
		{"tmpfs", "run", "tmpfs", 0, "mode=0755"},
		{"tmpfs", "dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
	} {
		if err := unix.Mount(m.source, filepath.Join(root, m.target), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := makeDev(filepath.Join(root, "dev")); err != nil {
		return err
	}
	given := filepath.Join(root, "run/emulab")
	if err := os.Mkdir(given, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(r.host, given, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Mount("", given, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return err
	}
	return mountProc(filepath.Join(root, "proc"), pidns)
}

func makeDev(dev string) error {
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "urandom": 9, "random": 8} {
		if err := unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(dev, name), 0o666); err != nil {
			return err
		}
	}
	if err := unix.Mknod(filepath.Join(dev, "tty"), unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))); err != nil {
		return err
	}
	for to, from := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(from, filepath.Join(dev, to)); err != nil {
			return err
		}
	}
	pts := filepath.Join(dev, "pts")
	if err := os.Mkdir(pts, 0o755); err != nil {
		return err
	}
	return unix.Mount("devpts", pts, "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")
}

// mountProc mounts the proc of another pid namespace (Linux 6.17).
func mountProc(target string, pidns *os.File) error {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigSetFd(fs, "pidns", int(pidns.Fd())); err != nil {
		return fmt.Errorf("proc pidns=: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return err
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return err
	}
	defer unix.Close(mnt)
	return unix.MoveMount(mnt, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// fillEtc writes /etc: what comes from the host by the allow-list, then ours,
// then the test's own.
func fillEtc(root string, s setup) error {
	script := `set -e; cd /etc
for f in pam.d pam.conf security login.defs ld.so.cache alternatives default shells services protocols localtime profile bash.bashrc ssh/moduli; do
	if [ -e $f ]; then cp -a --parents $f "$0/etc"; fi
done
mkdir -p "$0/usr/local/sbin" "$0/usr/local/bin"
for w in reboot halt poweroff shutdown; do ln -s /run/emulab/bin/injail "$0/usr/local/sbin/$w"; done
chmod 1777 "$0/tmp"; chown 1000:1000 "$0/home/ann"`
	if out, err := exec.Command("sh", "-c", script, root).CombinedOutput(); err != nil {
		return fmt.Errorf("copy /etc: %w: %s", err, out)
	}
	for _, f := range etcfiles.Files() {
		if err := os.WriteFile(root+f.Path, f.Data, f.Mode); err != nil {
			return err
		}
	}
	own := map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n",
		"/etc/group":  "root:x:0:\ntty:x:5:\nutmp:x:43:\ncrontab:x:101:\nteam:x:2000:bob,ann\nann:x:1000:\nnogroup:x:65534:\n",
		"/etc/shadow": "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\nann:*:19000:0:99999:7:::\n",
	}
	if s.rc != "-" { // "-": the real one
		own["/etc/rc"] = "#!/bin/sh\n" + s.rc + "\n"
	}
	for path, text := range s.files {
		own[path] = text
	}
	for path, text := range own {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(root+path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.Chmod(root+"/etc/shadow", 0o600)
}

func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}
