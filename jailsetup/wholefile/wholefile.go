// Package wholefile writes small files of records so that whoever reads one, also
// after its writer was killed, finds the old content or the new, never a part.
//
//	Write        outlives its writer
//	WriteSynced  outlives a power cut, for some milliseconds more
//
// A path has one writer at a time: two would share the file that is written
// first. The host's files lie where no jail can write; a jail's init writes its
// own, in its own root.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix is of the file that is written first. One that was left by a killed
// writer goes with the next.
const Suffix = ".new"

// Write puts data in the place of the file, which is made with the mode, but for
// the umask. After a power cut it may be there, missing or empty.
func Write(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, func(*os.File) error { return nil })
}

// WriteSynced does so for good.
func WriteSynced(path string, data []byte, mode fs.FileMode) error {
	if err := write(path, data, mode, (*os.File).Sync); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func write(path string, data []byte, mode fs.FileMode, sync func(*os.File) error) error {
	temp := path + Suffix
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("replace %s: %w", path, errors.Join(err, os.Remove(temp)))
	}
	return nil
}

// SyncDir has what is in the directory, by name, outlive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
