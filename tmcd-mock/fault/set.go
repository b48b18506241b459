package fault

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Ask is what a Set decides on.
type Ask struct {
	Command   string // canonical; empty when Early
	Node      string // who is answered for; a vnode or a host
	Host      string // where the request came from
	Transport string // tcp, udp or tls
	Early     bool   // a connection has come, nothing is read yet
}

// Trouble is what one rule decided for one request.
type Trouble struct {
	Rule  Rule
	Delay time.Duration // the rule's, with jitter drawn
	seed  uint64
}

// Random is a source of bytes for Garbage: the same for the same trouble.
func (t Trouble) Random() *rand.ChaCha8 {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], t.seed)
	return rand.NewChaCha8(seed)
}

// maxCounted bounds the memory of a Set: so many (rule, node, command) triples are counted apart.
const maxCounted = 1 << 16

type counter struct {
	rule          int
	node, command string
}

// Set is a list of rules with a seed. All methods may be called at once by many goroutines.
type Set struct {
	seed uint64

	mu     sync.Mutex
	rules  []Rule // those from the testbed's file come and go with it: see Replace
	file   map[int]bool
	lastID int
	asked  map[counter]uint64
	down   time.Time
}

// NewSet returns a set without rules.
func NewSet(seed uint64) *Set {
	return &Set{seed: seed, file: map[int]bool{}, asked: map[counter]uint64{}}
}

// Seed is what NewSet was given.
func (s *Set) Seed() uint64 { return s.seed }

// Add puts a rule behind the others and returns its number.
func (s *Set) Add(r Rule) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(r)
}

func (s *Set) add(r Rule) int {
	s.lastID++
	r.ID = s.lastID
	s.rules = append(s.rules, r)
	return r.ID
}

// Replace puts rules in the place of those that the last Replace brought; added ones stay.
func (s *Set) Replace(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = slices.DeleteFunc(s.rules, func(r Rule) bool { return s.file[r.ID] })
	clear(s.file)
	for _, r := range rules {
		s.file[s.add(r)] = true
	}
}

// Remove takes a rule away; 0 takes all.
func (s *Set) Remove(id int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rules)
	s.rules = slices.DeleteFunc(s.rules, func(r Rule) bool { return id == 0 || r.ID == id })
	maps.DeleteFunc(s.asked, func(c counter, _ uint64) bool { return id == 0 || c.rule == id })
	if id != 0 && len(s.rules) == before {
		return fmt.Errorf("no fault has number %d", id)
	}
	if id == 0 {
		s.down = time.Time{}
	}
	return nil
}

// Rules returns the rules that are still in force, in order. Next is what is left of it.
func (s *Set) Rules() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rules)
}

// DownUntil lets nothing through before t.
func (s *Set) DownUntil(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = t
}

// Idle reports whether there is nothing to decide.
func (s *Set) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rules) == 0 && s.down.IsZero()
}

// For decides: every rule that meets a and whose chance came up, in order. At most one of a kind.
func (s *Set) For(a Ask, now time.Time) []Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Trouble
	if a.Early && now.Before(s.down) {
		list = append(list, Trouble{Rule: Rule{Kind: Down, Probability: 1}})
	}
	var spent []int
	for i := range s.rules {
		r := &s.rules[i]
		if !r.meets(a) || slices.ContainsFunc(list, func(t Trouble) bool { return t.Rule.Kind == r.Kind }) {
			continue
		}
		t, ok := s.draw(*r, a)
		if !ok {
			continue
		}
		list = append(list, t)
		if r.Next > 0 {
			if r.Next--; r.Next == 0 {
				spent = append(spent, r.ID)
			}
		}
	}
	s.rules = slices.DeleteFunc(s.rules, func(r Rule) bool { return slices.Contains(spent, r.ID) })
	return list
}

// draw throws the dice of one rule for one request.
func (s *Set) draw(r Rule, a Ask) (Trouble, bool) {
	who := a.Node
	if who == "" {
		who = a.Host
	}
	c := counter{r.ID, who, a.Command}
	if len(s.asked) >= maxCounted {
		clear(s.asked)
	}
	s.asked[c]++
	seed := s.hash(c, s.asked[c])
	dice := rand.New(rand.NewPCG(seed, 0))
	if dice.Float64() >= r.Probability {
		return Trouble{}, false
	}
	delay := r.Delay
	if r.Jitter > 0 {
		delay = max(0, delay+time.Duration((2*dice.Float64()-1)*float64(r.Jitter)))
	}
	return Trouble{Rule: r, Delay: delay, seed: seed}, true
}

func (s *Set) hash(c counter, n uint64) uint64 {
	h := fnv.New64a()
	var b [8]byte
	for _, v := range []uint64{s.seed, uint64(c.rule), n} {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	h.Write([]byte(c.node + "\x00" + c.command))
	return h.Sum64()
}
