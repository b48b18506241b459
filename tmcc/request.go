package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"emujail/protocol"
	"emujail/tmcc/client"
)

// maxKeyLine bounds the key file's first line; tmcd reads 128 digits of it.
const maxKeyLine = 1024

// request puts together what is sent: tags, words, data file.
func (q *question) request() (protocol.Request, error) {
	req, err := q.identity()
	if err != nil {
		return req, err
	}
	var data []byte
	if q.line.DataFile != "" {
		if data, err = readData(q.line.DataFile); err != nil {
			return req, err
		}
	}
	return client.Words(req, q.line.Words, data), nil
}

// identity is the tags of a request.
func (q *question) identity() (protocol.Request, error) {
	r, err := q.findRoute()
	if err != nil {
		return protocol.Request{}, err
	}
	req := protocol.Request{
		// tmcd answers 0 as it answers 1; here 0 would be no tag at all.
		Version: max(q.line.Version, 1),
		VNodeID: q.line.VNode,
		UseUDP:  q.line.UDP && r.network == client.Unix,
	}
	if r.network != client.Unix { // a proxy has its own, and drops ours
		req.PrivKey, err = q.key(q.line.KeyFile)
	}
	return req, err
}

// readData reads the data file, no further than it takes to see that it is too
// large.
func readData(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, protocol.MaxRequest+1))
	if err != nil {
		return nil, fmt.Errorf("data file: %w", err)
	}
	return data, nil
}

// key reads the key file: the one that -k names, which must be there, else the
// first of the usual ones that is. No key is no error then.
func (m machine) key(named string) (string, error) {
	if named != "" {
		return readKey(named)
	}
	for _, path := range m.keys {
		key, err := readKey(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		return key, err
	}
	return "", nil
}

// readKey returns the first line of a key file.
func readKey(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	text, err := bufio.NewReader(io.LimitReader(f, maxKeyLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("key file: %w", err)
	}
	key := strings.TrimRight(text, "\r\n \t")
	if key == "" || strings.Trim(key, "0123456789abcdefABCDEF") != "" {
		return "", fmt.Errorf("key file %s: its first line is no hexadecimal key", path)
	}
	return key, nil
}
