package manage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// Client asks a running server. Make one with Dial; it holds no connection.
type Client struct {
	at   string
	base string
	http *http.Client
}

// ErrNobody is part of the error when no server is there.
var ErrNobody = errors.New("no tmcd-mock serves there")

// Dial returns a client for the socket at a path or, where `at` is HOST:PORT, for a server on TCP.
func Dial(at string) *Client {
	c := &Client{at: at, base: "http://unix", http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", at)
		},
	}}}
	if IsTCP(at) {
		c.base, c.http = "http://"+at, &http.Client{}
	}
	return c
}

// IsTCP tells HOST:PORT from a path.
func IsTCP(at string) bool { return !strings.Contains(at, "/") && strings.Contains(at, ":") }

// Status asks what serves there.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Nodes asks for every node.
func (c *Client) Nodes(ctx context.Context) (n Nodes, err error) {
	return n, c.call(ctx, http.MethodGet, "/v1/nodes", nil, &n)
}

// Schedules asks for what experiments plan.
func (c *Client) Schedules(ctx context.Context) (s Schedules, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/schedule", nil, &s)
}

// Set changes rows of the testbed, all or none.
func (c *Client) Set(ctx context.Context, changes []Change) error {
	return c.call(ctx, http.MethodPost, "/v1/set", map[string]any{"changes": changes}, nil)
}

// SetAccount adds or changes an account.
func (c *Client) SetAccount(ctx context.Context, a Account) error {
	return c.call(ctx, http.MethodPost, "/v1/account", a, nil)
}

// Reload has the testbed read again. The error is the mistake in it, if there is one.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/reload", struct{}{}, nil)
}

// Faults asks for seed and rules; a rule comes as text.
func (c *Client) Faults(ctx context.Context) (Faults, error) {
	var f Faults
	return f, c.call(ctx, http.MethodGet, "/v1/faults", nil, &f)
}

// Faults is the answer of /v1/faults.
type Faults struct {
	Seed   uint64 `json:"seed"`
	Faults []struct {
		ID   int    `json:"id"`
		Rule string `json:"rule"`
	} `json:"faults"`
}

// AddFault adds a rule and returns its number.
func (c *Client) AddFault(ctx context.Context, r fault.Rule) (int, error) {
	var answer struct{ ID int }
	return answer.ID, c.call(ctx, http.MethodPost, "/v1/faults", map[string]string{"rule": r.String()}, &answer)
}

// RemoveFault takes a rule away; 0 takes all.
func (c *Client) RemoveFault(ctx context.Context, id int) error {
	return c.call(ctx, http.MethodDelete, fmt.Sprintf("/v1/faults/%d", id), nil, nil)
}

// Metrics asks for the text that Prometheus reads.
func (c *Client) Metrics(ctx context.Context, w io.Writer) error {
	response, err := c.do(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(w, response.Body)
	return err
}

// Journal calls each for every event from number since on, and with follow for those to come until ctx ends
// or each returns false.
func (c *Client) Journal(ctx context.Context, since uint64, follow bool, each func(store.Event) bool) error {
	path := fmt.Sprintf("/v1/journal?since=%d", since)
	if follow {
		path += "&follow=1"
	}
	response, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	dec := json.NewDecoder(bufio.NewReader(response.Body))
	for {
		var e store.Event
		err := dec.Decode(&e)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the journal of %s: %w", c.at, err)
		}
		if !each(e) {
			return nil
		}
	}
}

// call sends body and reads the answer into into, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	response, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.at, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("ask %s: %w", c.at, ErrNobody)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.at, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	var why struct{ Error store.Text }
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(&why); err != nil || why.Error == "" {
		return nil, fmt.Errorf("ask %s: %s", c.at, response.Status)
	}
	return nil, errors.New(string(why.Error))
}
