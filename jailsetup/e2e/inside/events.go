//go:build linux

package main

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"emujail/jailsetup/event"
)

// eventSocket is the jail's way to the hub.
const eventSocket = "/run/emulab/events"

// say sends one event, as the words are, made with a key:
// say KEY EXPERIMENT OBJECT TYPE ACTION ARGS.
func say(args []string) error {
	if len(args) != 6 {
		return errors.New("say KEY EXPERIMENT OBJECT TYPE ACTION ARGS")
	}
	c, err := net.Dial("unix", eventSocket)
	if err != nil {
		return err
	}
	defer c.Close()
	e := event.Event{Experiment: args[1], Object: args[2], Type: args[3], Action: args[4], Args: args[5], From: "operator",
		Time: time.Now(), Sender: rand.Uint64(), Seq: 1}
	if _, err := c.Write(e.Sign([]byte(args[0])).Append(nil)); err != nil {
		return err
	}
	// The hub has read the line once it has closed its end, too.
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c)
	return err
}

// flood subscribes to everything it may, reads nothing, and sends as fast as
// it can, by several connections, for ten seconds: flood KEY EXPERIMENT.
func flood(args []string) error {
	if len(args) != 2 {
		return errors.New("flood KEY EXPERIMENT")
	}
	deadline := time.Now().Add(10 * time.Second)
	done := make(chan struct{})
	for n := range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			for sender := uint64(n); time.Now().Before(deadline); sender += 3 {
				floodOnce(args[0], args[1], sender, deadline)
			}
		}()
	}
	for range 3 {
		<-done
	}
	return nil
}

func floodOnce(key, experiment string, sender uint64, deadline time.Time) {
	c, err := net.Dial("unix", eventSocket)
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	defer c.Close()
	_ = c.SetWriteDeadline(deadline)
	e := event.Event{Experiment: experiment, Object: "*", Type: event.Node, Action: "SUBSCRIBE", Args: "cbr0 flood", Sender: sender}
	for ; ; e.Seq++ {
		e.Time = time.Now()
		if _, err := c.Write(e.Sign([]byte(key)).Append(nil)); err != nil {
			return
		}
		e.Object, e.Type, e.Action, e.Args = "flood", event.TrafGen, "MODIFY", "x=y"
	}
}
