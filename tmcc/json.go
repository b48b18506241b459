package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"emujail/protocol"
)

// printJSON prints a reply as JSON: the typed value that package protocol makes
// of it, null for an empty one, lines where there is no type.
func (q *question) printJSON(reply []byte) error {
	name := q.line.Words[0]
	if c, ok := protocol.Lookup(name); ok {
		name = c.Name
	}
	value, err := typedReply(name, reply)
	if err != nil {
		return fmt.Errorf("reply to %s, as JSON: %w", name, err)
	}
	return q.writeJSON(value)
}

// writeJSON prints value, indented.
func (q *question) writeJSON(value any) error {
	text, err := appendJSON(nil, value)
	if err != nil {
		return fmt.Errorf("as JSON: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return fmt.Errorf("as JSON: %w", err)
	}
	out.WriteByte('\n')
	_, err = q.stdout.Write(out.Bytes())
	return err
}

// typedReply parses the reply to the command of that name.
func typedReply(name string, reply []byte) (any, error) {
	switch {
	case len(reply) == 0:
		return nil, nil
	case name == "fullconfig":
		return typedBlocks(reply)
	}
	if parse := parser(name); parse != nil {
		return parse(reply)
	}
	return rows(reply), nil
}

// A member is one pair of an object whose order counts.
type member struct {
	name  string
	value any
}

// typedBlocks is a fullconfig as an object, a member a command. A block that
// its parser doesn't take is an error for all: half a configuration misleads.
func typedBlocks(reply []byte) (any, error) {
	blocks, err := protocol.SplitFullConfig(reply)
	if err != nil {
		return nil, err
	}
	var all []member
	for _, b := range blocks {
		value, err := typedReply(b.Command, b.Body)
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", b.Command, err)
		}
		all = append(all, member{b.Command, value})
	}
	return all, nil
}

// rows is a reply without a type: its lines, or what they are in base64 if they
// are no text (the topology maps are gzip).
func rows(reply []byte) any {
	if !utf8.Valid(reply) || bytes.IndexByte(reply, 0) >= 0 {
		return []member{{"base64", base64.StdEncoding.EncodeToString(reply)}}
	}
	return strings.Split(strings.TrimSuffix(string(reply), "\n"), "\n")
}

// parser is the parser of a command's reply, nil if package protocol has none.
func parser(name string) func([]byte) (any, error) {
	switch name {
	case "accounts":
		return typed(protocol.ParseAccounts)
	case "blobs":
		return typed(protocol.ParseBlobs)
	case "creator":
		return typed(protocol.ParseCreator)
	case "eventkey":
		return typed(protocol.ParseEventKey)
	case "hostnames":
		return typed(protocol.ParseHostNames)
	case "ifconfig":
		return typed(protocol.ParseIfConfig)
	case "isalive", "rusage":
		return typed(protocol.ParseUpdate)
	case "jailconfig":
		return typed(protocol.ParseJailConfig)
	case "keyhash":
		return typed(protocol.ParseKeyHash)
	case "localization":
		return typed(protocol.ParseRootPubKeys)
	case "manifest":
		return typed(protocol.ParseManifest)
	case "mounts":
		return typed(protocol.ParseMounts)
	case "nodeattributes":
		return typed(protocol.ParseNodeAttributes)
	case "nodeid":
		return typed(protocol.ParseNodeID)
	case "nodeuuid":
		return typed(protocol.ParseNodeUUID)
	case "portregister":
		return typed(protocol.ParsePortRegistration)
	case "programs":
		return typed(protocol.ParsePrograms)
	case "readycount":
		return typed(protocol.ParseReadyCount)
	case "role":
		return typed(protocol.ParseRole)
	case "rootpswd":
		return typed(protocol.ParseRootPassword)
	}
	return moreParsers(name)
}

func moreParsers(name string) func([]byte) (any, error) {
	switch name {
	case "routelist":
		return typed(protocol.ParseRouteList)
	case "routing":
		return typed(protocol.ParseRouting)
	case "rpms":
		return typed(protocol.ParseRPMs)
	case "startupcmd":
		return typed(protocol.ParseStartupCmd)
	case "status":
		return typed(protocol.ParseStatus)
	case "subnodelist":
		return typed(protocol.ParseSubNodeList)
	case "syncserver":
		return typed(protocol.ParseSyncServer)
	case "tarballs":
		return typed(protocol.ParseTarballs)
	case "traceinfo":
		return typed(protocol.ParseTraces)
	case "trafgens":
		return typed(protocol.ParseTrafGens)
	case "tunnels":
		return typed(protocol.ParseTunnels)
	case "userenv":
		return typed(protocol.ParseUserEnv)
	case "vnodelist":
		return typed(protocol.ParseVNodeList)
	case "watchdoginfo":
		return typed(protocol.ParseWatchdogInfo)
	}
	return nil
}

func typed[T any](parse func([]byte) (T, error)) func([]byte) (any, error) {
	return func(reply []byte) (any, error) { return parse(reply) }
}
