// Package wholefile writes small files of records so that whoever reads one, also
// after its writer was killed, finds the old content or the new, never a part.
//
//	Write        outlives its writer
//	WriteSynced  outlives a power cut, for some milliseconds more
//
// It follows no rights but those of the directory: what a jail can write to is
// no place for these files.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Suffix is of the file that is written first. One that was left by a killed
// writer is overwritten by the next.
const Suffix = ".new"

// Write puts data in the place of the file. After a power cut it may be there,
// missing or empty.
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
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
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
