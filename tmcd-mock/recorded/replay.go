package recorded

import (
	"context"
	"sync"
)

// Outcome is what came of one comparable record.
type Outcome struct {
	Record *Record
	Reply  []byte
	End    string
	Err    error // the exchange failed; Reply and End mean nothing
}

// Equal reports whether reply and end are those recorded.
func (o *Outcome) Equal() bool {
	return o.Err == nil && o.Record.Equal(o.Reply) && o.Record.SameEnd(o.End)
}

// Replayer plays records against a server whose database it can reset.
type Replayer struct {
	Client *Client
	// Reset puts the database back as it was, with this site switch on
	// ("" for none, else isolate_admins or no_shared_fs).
	Reset func(site string)
	// Parallel is how many exchanges may be under way at once; 0: 32.
	Parallel int
}

// Run sends the comparable records, and of scenarios all, and calls done with
// each outcome in the order of the records. Records that change nothing are
// under way together; others are alone, and the database is reset after them
// (testdata/vectors/README.md, How to replay).
func (p *Replayer) Run(ctx context.Context, recs []Record, done func(Outcome)) {
	outcomes := make([]Outcome, len(recs))
	p.together(ctx, recs, outcomes)
	scenario := ""
	for i := range recs {
		r := &recs[i]
		if p.free(r) || !r.Comparable() && r.Scenario == "" {
			continue
		}
		if r.Scenario == "" || r.Scenario != scenario {
			p.Reset(r.Site)
		}
		scenario = r.Scenario
		outcomes[i] = p.one(ctx, r)
	}
	p.Reset("")
	for i := range recs {
		if recs[i].Comparable() {
			done(outcomes[i])
		}
	}
}

// free: changes nothing and wants nothing special of the server.
func (p *Replayer) free(r *Record) bool {
	return r.Scenario == "" && len(r.Tables) == 0 && r.Site == ""
}

func (p *Replayer) together(ctx context.Context, recs []Record, outcomes []Outcome) {
	p.Reset("")
	n := p.Parallel
	if n == 0 {
		n = 32
	}
	places := make(chan struct{}, n)
	var all sync.WaitGroup
	for i := range recs {
		r := &recs[i]
		if !r.Comparable() || !p.free(r) {
			continue
		}
		places <- struct{}{}
		all.Go(func() {
			outcomes[i] = p.one(ctx, r)
			<-places
		})
	}
	all.Wait()
}

func (p *Replayer) one(ctx context.Context, r *Record) Outcome {
	reply, end, err := p.Client.Do(ctx, r)
	return Outcome{Record: r, Reply: reply, End: end, Err: err}
}
