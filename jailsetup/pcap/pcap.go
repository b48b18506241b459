// Package pcap writes captured frames in the format that tcpdump and Wireshark
// read: libpcap's, version 2.4, Ethernet, times in nanoseconds.
//
//	w, err := pcap.NewWriter(file)
//	err = w.Write(pcap.Frame{Time: …, Data: …, Length: …})
//
// It writes only; there is no state but the writer. The format's description is
// draft-ietf-opsawg-pcap.
package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// MaxLength is the longest frame that is kept whole, in bytes: the most that
// readers take.
const MaxLength = 262144

// The file's header.
const (
	magic        = 0xa1b23c4d // times in nanoseconds
	major, minor = 2, 4
	ethernet     = 1
)

// Frame is one captured frame.
type Frame struct {
	Time   time.Time
	Data   []byte // what was kept, at most MaxLength
	Length int    // on the wire, in bytes
}

// Writer writes frames, each in one Write.
type Writer struct{ w io.Writer }

// NewWriter writes the file's header.
func NewWriter(w io.Writer) (*Writer, error) {
	var h []byte
	h = binary.LittleEndian.AppendUint32(h, magic)
	h = binary.LittleEndian.AppendUint16(h, major)
	h = binary.LittleEndian.AppendUint16(h, minor)
	h = append(h, make([]byte, 8)...) // reserved
	h = binary.LittleEndian.AppendUint32(h, MaxLength)
	h = binary.LittleEndian.AppendUint32(h, ethernet)
	_, err := w.Write(h)
	return &Writer{w}, err
}

// Write writes one frame.
func (w *Writer) Write(f Frame) error {
	if len(f.Data) > MaxLength || f.Length < len(f.Data) {
		return fmt.Errorf("write frame: %d bytes kept of %d, at most %d", len(f.Data), f.Length, MaxLength)
	}
	b := make([]byte, 0, 16+len(f.Data))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.Time.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.Time.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.Length))
	_, err := w.w.Write(append(b, f.Data...))
	return err
}
