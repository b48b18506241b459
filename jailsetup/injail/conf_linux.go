package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// confFile is written by the host for each boot, read-only for the jail.
const confFile = "/run/emulab/jail.conf"

// Bounds of the grace period between TERM and KILL.
const (
	graceDefault = time.Second // as the original had it
	graceMost    = time.Minute
)

// settings are what PID 1 takes from jail.conf.
type settings struct {
	VNode    string // VNODEID
	Hostname string // HOSTNAME, full
	PID, EID string
	JailIP   string
	Listens  string        // SSHDADDRS: addresses, a space between; empty: any
	Boot     int64         // BOOTSERIAL
	Grace    time.Duration // GRACE, in seconds
}

// readSettings reads jail.conf; the environment's TMCCVNODEID wins, as it is
// the older way to tell a jail its name. A missing file leaves the defaults:
// the error says so, and the jail can still be entered.
func readSettings(path, vnode string) (settings, error) {
	b, err := os.ReadFile(path)
	s := parseSettings(string(b))
	if vnode != "" {
		s.VNode = vnode
	}
	return s, err
}

// parseSettings reads lines KEY=value as a shell would, without expansions.
// Keys that PID 1 has no use for are for others.
func parseSettings(text string) settings {
	s := settings{Grace: graceDefault}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		value = unquote(value)
		switch key {
		case "VNODEID":
			s.VNode = value
		case "HOSTNAME":
			s.Hostname = value
		case "PID":
			s.PID = value
		case "EID":
			s.EID = value
		case "JAILIP":
			s.JailIP = value
		case "SSHDADDRS":
			s.Listens = value
		case "BOOTSERIAL":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				s.Boot = n
			}
		case "GRACE":
			s.Grace = parseGrace(value)
		}
	}
	return s
}

// parseGrace reads seconds with a fraction, within bounds.
func parseGrace(v string) time.Duration {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= 0) {
		return graceDefault
	}
	if n >= graceMost.Seconds() {
		return graceMost
	}
	return time.Duration(n * float64(time.Second))
}

// unquote takes one pair of quotes and, inside double ones, backslashes off.
func unquote(v string) string {
	if len(v) < 2 || v[0] != v[len(v)-1] || v[0] != '"' && v[0] != '\'' {
		return v
	}
	inner := v[1 : len(v)-1]
	if v[0] == '\'' {
		return inner
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) && strings.IndexByte("\"\\$`", inner[i+1]) >= 0 {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}
