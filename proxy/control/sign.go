package control

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// signTimeout bounds the proxy's wait for a signature.
const signTimeout = 10 * time.Second

// A Signer signs by asking at the other end of a control connection. It is the
// private key of the proxy's tls.Certificate; it holds none.
type Signer struct {
	public crypto.PublicKey
	send   func(Message) error

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]chan Message
}

// NewSigner makes a Signer for the key whose public half is given. send carries
// its OpSign messages; the answers go to Deliver.
func NewSigner(public crypto.PublicKey, send func(Message) error) *Signer {
	return &Signer{public: public, send: send, waiting: make(map[uint64]chan Message)}
}

// Public is the key's public half.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign asks for a signature of digest and waits up to 10 s for it. Its first
// argument is not used: the key's owner has its own randomness.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	answer := make(chan Message, 1)
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.waiting[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
	}()

	_, pss := opts.(*rsa.PSSOptions)
	if err := s.send(Message{Op: OpSign, ID: id, Digest: digest, Hash: uint(opts.HashFunc()), PSS: pss}); err != nil {
		return nil, fmt.Errorf("ask for a signature: %w", err)
	}
	timer := time.NewTimer(signTimeout)
	defer timer.Stop()
	select {
	case m := <-answer:
		if m.Error != "" {
			return nil, fmt.Errorf("ask for a signature: %s", m.Error)
		}
		return m.Signature, nil
	case <-timer.C:
		return nil, fmt.Errorf("ask for a signature: no answer for %v", signTimeout)
	}
}

// Deliver hands an OpSignature message to whoever waits for it. One that nobody
// waits for (any more) is dropped.
func (s *Signer) Deliver(m Message) {
	s.mu.Lock()
	answer := s.waiting[m.ID]
	delete(s.waiting, m.ID)
	s.mu.Unlock()
	if answer != nil {
		answer <- m
	}
}

// A SignServer is the supervisor's half: it owns the key and answers OpSign. A
// captured proxy can have handshakes signed while it lives, not faster than
// Rate, and every signature is reported.
type SignServer struct {
	Key crypto.Signer

	// Rate is the most signatures a second, with as many at once; 0 is 200.
	Rate int

	// Report, if not nil, hears of each request and of the error it met.
	Report func(m Message, err error)

	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// ErrSignRate refuses a signature because there were too many.
var ErrSignRate = errors.New("too many signatures asked for")

// Answer makes the OpSignature message that answers m.
func (s *SignServer) Answer(m Message) Message {
	sig, err := s.sign(m, time.Now())
	if s.Report != nil {
		s.Report(m, err)
	}
	if err != nil {
		return Message{Op: OpSignature, ID: m.ID, Error: err.Error()}
	}
	return Message{Op: OpSignature, ID: m.ID, Signature: sig}
}

// sign signs digests only: a hash of zero would let the proxy choose the
// bytes that the key works on.
func (s *SignServer) sign(m Message, now time.Time) ([]byte, error) {
	hash := crypto.Hash(m.Hash)
	switch hash {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return nil, fmt.Errorf("hash %d is not one that TLS signs with", m.Hash)
	}
	if len(m.Digest) != hash.Size() {
		return nil, fmt.Errorf("digest of %d bytes is not a %v", len(m.Digest), hash)
	}
	if !s.take(now) {
		return nil, ErrSignRate
	}
	var opts crypto.SignerOpts = hash
	if m.PSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	return s.Key.Sign(rand.Reader, m.Digest, opts)
}

func (s *SignServer) take(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rate := float64(s.Rate)
	if rate == 0 {
		rate = 200
	}
	if s.last.IsZero() {
		s.tokens = rate
	} else {
		s.tokens = min(rate, s.tokens+rate*now.Sub(s.last).Seconds())
	}
	s.last = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}
