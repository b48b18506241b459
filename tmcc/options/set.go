package options

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"emujail/protocol"
)

// Where -X listens if it isn't told: the original's defaults.
const (
	inetHost = "127.0.0.1"
	inetPort = "7778"
)

// maxSeconds bounds -t: a duration holds no more.
const maxSeconds = 1 << 31

// setTrue sets a switch.
func setTrue(field func(*Line) *bool) func(*Line, string) error {
	return func(l *Line, _ string) error {
		*field(l) = true
		return nil
	}
}

func setServer(l *Line, v string) error   { l.Server = v; return notEmpty(v) }
func setKeyFile(l *Line, v string) error  { l.KeyFile = v; return notEmpty(v) }
func setUnix(l *Line, v string) error     { l.Unix = v; return notEmpty(v) }
func setDataFile(l *Line, v string) error { l.DataFile = v; return notEmpty(v) }
func setLogFile(l *Line, v string) error  { l.LogFile = v; return notEmpty(v) }

func notEmpty(v string) error {
	if v == "" {
		return errors.New("the value is empty")
	}
	return nil
}

func setPort(l *Line, v string) (err error) {
	l.Port, err = number(v, 1, 65535)
	return err
}

func setVersion(l *Line, v string) (err error) {
	l.Version, err = number(v, 0, 1<<31-1)
	return err
}

func setTimeout(l *Line, v string) error {
	seconds, err := number(v, 0, maxSeconds)
	l.Timeout = time.Duration(seconds) * time.Second
	return err
}

func number(v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a number from %d to %d, got %q", low, high, v)
	}
	return n, nil
}

// setVNode refuses what could be more than one word of a request.
func setVNode(l *Line, v string) error {
	l.VNode = v
	if v == "" || len(v) > protocol.MaxNodeID || strings.Trim(v, nodeIDBytes) != "" {
		return fmt.Errorf("want a node id, 1 to %d of [-A-Za-z0-9_], got %q", protocol.MaxNodeID, v)
	}
	return nil
}

const nodeIDBytes = "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// setProxy is both -x and -proxy; the latter's path may be missing.
func setProxy(l *Line, v string) error {
	if l.given['x'] && l.ProxyPath != v {
		return errors.New("one socket is enough")
	}
	l.Proxy, l.ProxyPath, l.given['x'] = true, v, true
	return nil
}

func setInet(l *Line, v string) error {
	host, port, _ := strings.Cut(v, ":")
	if host == "" {
		host = inetHost
	}
	if port == "" {
		port = inetPort
	}
	at, err := netip.ParseAddrPort(host + ":" + port)
	if err != nil {
		at, err = netip.ParseAddrPort(v) // [IPv6]:port
	}
	if err != nil {
		return fmt.Errorf("want address:port, got %q", v)
	}
	l.Proxy, l.Inet = true, at
	return nil
}
