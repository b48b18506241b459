package rootfs

import (
	"context"
	"os"
	"sync"
	"time"
)

// remember is how long a template counts as up to date without being looked at:
// what an operator changes in /etc is in the jails that boot later than that.
const remember = 5 * time.Second

// Keeper spares boots that follow each other the look at the host's files that
// a template is made from, a hundredth of a second each, and the clone of a disk
// ([Keeper.Spare]). The zero value is ready. It may be used by several goroutines.
type Keeper struct {
	mu   sync.Mutex
	made map[Template]kept

	sparing sync.Mutex // held while a spare is made
	closed  bool
}

type kept struct {
	made  Made
	until time.Time
}

// Ensure is [Template.Ensure], or what it said a moment ago.
func (k *Keeper) Ensure(ctx context.Context, t Template) (Made, error) {
	k.mu.Lock()
	one, ok := k.made[t]
	k.mu.Unlock()
	if ok && time.Now().Before(one.until) {
		if _, err := os.Stat(one.made.Image); err == nil {
			return one.made, nil
		}
	}
	began := time.Now()
	made, err := t.Ensure(ctx)
	if err != nil {
		return made, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.made == nil {
		k.made = map[Template]kept{}
	}
	k.made[t] = kept{made, began.Add(remember)}
	return made, nil
}
