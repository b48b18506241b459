package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// ErrCompress is the answer to compress(1)'s format, which nothing writes any
// more. Files named .tar.Z that are gzip inside are read as gzip.
var ErrCompress = errors.New("compressed by compress(1): pack it again with gzip, xz or zstd")

// maxWindow is the memory that a packed stream can ask for: zstd --ultra -22
// has a window of 128 MiB, xz -9 a dictionary of 64.
const maxWindow = 128 << 20

// Decompress returns the plain bytes of r. The format is told by the first
// bytes, not by the name: suffixes lie. What has no known beginning is passed
// on as it is. The caller closes the result, not r.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(br)
	case bytes.HasPrefix(head, []byte("BZh")):
		return io.NopCloser(bzip2.NewReader(br)), nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return newXZ(br)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x9d}):
		return nil, ErrCompress
	}
	return io.NopCloser(br), nil
}

// newXZ looks at the dictionary size in the first block's header before the
// library allocates it: the field goes up to 4 GiB.
func newXZ(br *bufio.Reader) (io.ReadCloser, error) {
	head, err := br.Peek(xzHeader + 32)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if size := xzDictionary(head); size > maxWindow {
		return nil, fmt.Errorf("xz dictionary of %d MiB: at most %d", size>>20, maxWindow>>20)
	}
	// The smallest start; a block that says more gets more.
	x, err := xz.ReaderConfig{DictCap: lzma.MinDictCap}.NewReader(br)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(x), nil
}

// xzHeader is the length of the stream header before the first block.
const xzHeader = 12

// xzDictionary reads the LZMA2 dictionary size from the first block header
// (xz file format 1.2, §3.1), 0 if there is none to be found.
func xzDictionary(head []byte) int64 {
	if len(head) < xzHeader+2 || head[xzHeader] == 0 {
		return 0
	}
	block := head[xzHeader+1:]
	flags, rest := block[0], block[1:]
	for _, optional := range []byte{0x40, 0x80} {
		if flags&optional != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return 0
			}
			rest = rest[n:]
		}
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 {
		return 0
	}
	size, err := lzma.DecodeDictCap(rest[2])
	if err != nil {
		return 0
	}
	return size
}
