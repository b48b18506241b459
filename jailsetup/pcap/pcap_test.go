package pcap

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// TestWriter: the bytes are those of the format's description.
func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0x65000001, 7)
	for _, f := range []Frame{{at, []byte{0xaa, 0xbb}, 2}, {at, nil, 9}} {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	const want = "4d3cb2a1" + "0200" + "0400" + "00000000" + "00000000" + "00000400" + "01000000" +
		"01000065" + "07000000" + "02000000" + "02000000" + "aabb" +
		"01000065" + "07000000" + "00000000" + "09000000"
	if got := hex.EncodeToString(b.Bytes()); got != want {
		t.Errorf("wrote %s\nwant  %s", got, want)
	}
	for name, f := range map[string]Frame{"longer than the wire": {at, []byte{1, 2}, 1}, "too long": {at, make([]byte, MaxLength+1), MaxLength + 1}} {
		if err := w.Write(f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
