package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"emujail/tmcd-mock/server"
	"emujail/tmcd-mock/web"
)

// website is the web server for tarballs and packages, from its listener on. A nil one is none.
type website struct {
	listener net.Listener
	root     *os.Root
	server   *web.Server
}

// listenWeb opens the port and the directory, and notes the address for the testbed.
func (m *mock) listenWeb(o serveOptions) (*website, error) {
	if o.web == "" {
		return nil, nil
	}
	addr, err := server.CheckListen(o.web)
	if err != nil {
		return nil, usageError{err}
	}
	root, err := os.OpenRoot(o.webRoot)
	if err != nil {
		return nil, fmt.Errorf("--web-root: %w", err)
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("web server: listen on %v: %w", addr, err), root.Close())
	}
	m.web = l.Addr().String()
	return &website{listener: l, root: root}, nil
}

// serve answers from now on.
func (w *website) serve(m *mock, o serveOptions) {
	if w == nil {
		return
	}
	options := web.Options{Root: w.root, Records: m.records, Logger: m.log}
	if o.webTLS {
		// No client certificate: the key in the request is what counts here.
		options.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &m.tls.Load().Certificates[0], nil
		}}
	}
	w.server = web.Serve(w.listener, options)
}

func (w *website) close() error {
	switch {
	case w == nil:
		return nil
	case w.server == nil:
		return errors.Join(w.listener.Close(), w.root.Close())
	}
	return errors.Join(w.server.Close(), w.root.Close())
}
