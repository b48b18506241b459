// Package manage is the management API of a running tmcd-mock: HTTP and JSON over a unix socket.
//
//	GET    /v1/status           what serves here: addresses, testbed, seed, process
//	GET    /v1/nodes            every node with state and last reports
//	GET    /v1/schedule         what each experiment's events are to be
//	GET    /v1/journal?since=N  events from number N on; &follow=1 goes on until the client leaves
//	GET    /v1/faults           the rules in force
//	POST   /v1/faults           {"rule": "KIND key=value…"} → {"id": N}
//	DELETE /v1/faults/{id}      0: all
//	POST   /v1/set              {"changes": [{"op","table","where","set"}…]}
//	POST   /v1/account          Account: add or change one
//	POST   /v1/reload           read the testbed again
//	GET    /metrics             for Prometheus
//
// Who may: whoever can open the socket (mode 0600). Where it listens on TCP instead, on demand, a
// browser on this machine must not become somebody's hands: every request passes the gates of gate.go,
// in that order. What nodes reported is hostile text and leaves here as JSON strings only (store.Text).
//
// Client (client.go) is the other side, used by the commands. socket.go finds and takes the socket.
package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"emujail/tmcd-mock/fault"
	"emujail/tmcd-mock/store"
)

// Node is one node as `tmcd-mock show` prints it.
type Node struct {
	ID      string                `json:"id"`
	Host    string                `json:"host"`            // a host is its own
	State   store.Text            `json:"state"`           // as reported last; before that, the testbed's
	Reports map[string]store.Text `json:"reports"`         // by kind, byte for byte
	At      map[string]time.Time  `json:"times,omitempty"` // when each report came
}

// Nodes is the answer of /v1/nodes.
type Nodes struct {
	Nodes []Node `json:"nodes"`
}

// Schedules is the answer of /v1/schedule.
type Schedules struct {
	Experiments []Schedule `json:"experiments"`
}

// Schedule is what one experiment plans.
type Schedule struct {
	Experiment string              `json:"experiment"` // pid/eid
	Groups     map[string][]string `json:"groups"`     // of objects, by name
	Events     []ScheduledEvent    `json:"events"`     // in order of time
}

// ScheduledEvent is one event that is planned.
type ScheduledEvent struct {
	At     float64 `json:"at"` // seconds after the experiment's start of time
	Object string  `json:"object"`
	Action string  `json:"action"`
	Args   string  `json:"args,omitempty"` // KEY=value words
}

// Status is the answer of /v1/status.
type Status struct {
	Listen  []string  `json:"listen"`
	Web     string    `json:"web,omitempty"`
	Testbed string    `json:"testbed"` // file, or "(built in)"
	PKI     string    `json:"pki,omitempty"`
	Store   string    `json:"store,omitempty"`
	Seed    uint64    `json:"seed"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
}

// Change is one change of the testbed's rows, as a person asks for it.
type Change struct {
	Op    string            `json:"op"` // update, upsert or delete
	Table string            `json:"table"`
	Where map[string]string `json:"where,omitempty"`
	Set   map[string]string `json:"set,omitempty"`
}

// Account is a user of a project; what is empty stays as it is, or gets a default.
type Account struct {
	Login   string   `json:"login"`
	Project string   `json:"project"`
	Trust   string   `json:"trust,omitempty"`
	Name    string   `json:"name,omitempty"`
	Shell   string   `json:"shell,omitempty"`
	UID     int      `json:"uid,omitempty"`
	Keys    []string `json:"keys,omitempty"` // in the place of those that are there
}

// Options are what the API reaches. All functions may be called at once.
type Options struct {
	Status  func() Status
	Nodes   func() []Node
	Plans   func() []Schedule
	Set     func([]Change) error
	Account func(Account) error
	Reload  func() error
	Faults  *fault.Set
	Journal *store.Journal
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
}

// Server is a running management API.
type Server struct {
	http *http.Server
	done chan error
	stop context.CancelFunc
}

// maxBody bounds what a request may bring.
const maxBody = 1 << 20

// Serve starts serving on l, and returns at once. It takes l over.
func Serve(l net.Listener, o Options) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{done: make(chan error, 1), stop: stop}
	s.http = &http.Server{
		Handler:           gate(l.Addr(), routes(o)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second, // following the journal moves it
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s
}

// Close ends every request and returns when the server has stopped.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// routes is the table in the package comment.
func routes(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { send(w, o.Status()) })
	mux.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) { send(w, Nodes{o.Nodes()}) })
	mux.HandleFunc("GET /v1/schedule", func(w http.ResponseWriter, _ *http.Request) { send(w, Schedules{o.Plans()}) })
	mux.HandleFunc("GET /v1/journal", o.journal)
	mux.HandleFunc("GET /v1/faults", func(w http.ResponseWriter, _ *http.Request) {
		send(w, struct {
			Seed   uint64       `json:"seed"`
			Faults []fault.Rule `json:"faults"`
		}{o.Faults.Seed(), append([]fault.Rule{}, o.Faults.Rules()...)})
	})
	mux.HandleFunc("POST /v1/faults", o.addFault)
	mux.HandleFunc("DELETE /v1/faults/{id}", o.removeFault)
	mux.HandleFunc("POST /v1/set", o.set)
	mux.HandleFunc("POST /v1/account", func(w http.ResponseWriter, r *http.Request) {
		var a Account
		if receive(w, r, &a) {
			sendResult(w, o.Account(a))
		}
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) { sendResult(w, o.Reload()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Metrics, promhttp.HandlerOpts{}))
	return mux
}

func (o Options) addFault(w http.ResponseWriter, r *http.Request) {
	var body struct{ Rule string }
	if !receive(w, r, &body) {
		return
	}
	rule, err := fault.Parse(body.Rule)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	id := o.Faults.Add(rule)
	o.Journal.Add(store.Event{Time: time.Now(), Kind: store.ChangeEvent, Text: store.Text("fault added: " + rule.String())})
	send(w, map[string]int{"id": id})
}

func (o Options) removeFault(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 0 {
		refuse(w, http.StatusBadRequest, "want the number of a fault, or 0 for all")
		return
	}
	sendResult(w, o.Faults.Remove(id))
}

func (o Options) set(w http.ResponseWriter, r *http.Request) {
	var body struct{ Changes []Change }
	if receive(w, r, &body) {
		sendResult(w, o.Set(body.Changes))
	}
}

// journal sends events, one JSON object a line.
func (o Options) journal(w http.ResponseWriter, r *http.Request) {
	next, err := uint64(0), error(nil)
	if text := r.FormValue("since"); text != "" {
		if next, err = strconv.ParseUint(text, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, "since: want the number of an event")
			return
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	control, enc := http.NewResponseController(w), json.NewEncoder(w)
	// Else the server's ReadTimeout would end the waiting, too.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	for {
		// A reader that stops reading is cut off; one that waits for news is not.
		if err := control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return
		}
		for _, e := range o.Journal.Since(next) {
			if err := enc.Encode(e); err != nil {
				return
			}
			next = e.Seq + 1
		}
		if r.FormValue("follow") == "" || control.Flush() != nil || o.Journal.Wait(r.Context(), max(next, 1)) != nil {
			return
		}
	}
}

// receive reads a JSON body, or answers why not.
func receive(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("read the request: %v", err))
		return false
	}
	return true
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(true)
	// The client has gone if this fails; there is nobody to tell.
	_ = enc.Encode(v)
}

func sendResult(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, http.StatusConflict, err.Error())
		return
	}
	send(w, struct{}{})
}

func refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]store.Text{"error": store.Text(why)})
}
