package picture

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// drawTimeout bounds the drawing of a large experiment on a slow host.
const drawTimeout = 2 * time.Minute

// Draw has the program, a jailpicture, make SVG of the source. It gets nothing
// of the caller's environment, and no directory for temporary files: there the
// library would look for compiled code to run, under a name that anybody on the
// host can take first.
func Draw(ctx context.Context, program string, source []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, drawTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin = bytes.NewReader(source)
	cmd.Env = []string{"TMPDIR=/dev/null"}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %.500s", program, err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}
