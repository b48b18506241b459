package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"emujail/jailsetup/plan"
	"emujail/jailsetup/removal"
)

// KindImage is the undo of an [Image]: its data is the image's path.
const KindImage = "image"

// Image is the step that gives a jail its disk: a sparse copy of the template.
// An image that is there already is the jail's own and is kept. A copy that was
// made ahead is taken.
type Image struct {
	Template string // path of the template's image
	Path     string // path of the jail's
}

// String implements [plan.Step].
func (i Image) String() string {
	return fmt.Sprintf("clone disk %s from template %s", i.Path, filepath.Base(i.Template))
}

// Undo implements [plan.Step].
func (i Image) Undo() ([]plan.Undo, error) {
	u, err := plan.NewUndo(KindImage, i.Path)
	return []plan.Undo{u}, err
}

// Do implements [plan.Step]. The image appears whole or not at all.
func (i Image) Do(ctx context.Context, _ *plan.State) (err error) {
	if _, err := os.Lstat(i.Path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if takeSpare(i.Template, i.Path) {
		return nil
	}
	temp := i.Path + tempSuffix
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(temp)))
		}
	}()
	if err := copySparse(ctx, i.Template, temp); err != nil {
		return err
	}
	return os.Rename(temp, i.Path)
}

const tempSuffix = ".new"

// RemoveImage is the deed of [KindImage]: it removes the image, whole or half
// made, unless somebody uses it. The path is the host's own, in a directory that
// no jail can reach.
func RemoveImage(ctx context.Context, path string) error {
	if err := removal.Disk(ctx, path); err != nil {
		return err
	}
	return ignoreMissing(os.Remove(path + tempSuffix))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
