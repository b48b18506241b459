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

// Signatures is the proxy's half of signing: it asks at the other end of a
// control connection. It holds no key.
type Signatures struct {
	send func(Message) error

	mu      sync.Mutex
	lastID  uint64
	waiting map[uint64]chan Message
}

// NewSignatures asks by send; the answers go to Deliver.
func NewSignatures(send func(Message) error) *Signatures {
	return &Signatures{send: send, waiting: make(map[uint64]chan Message)}
}

// Key is the private key whose public half is given, for a tls.Certificate. It
// may be used by many goroutines at once.
func (s *Signatures) Key(public crypto.PublicKey) crypto.Signer { return key{public, s} }

type key struct {
	public crypto.PublicKey
	asker  *Signatures
}

func (k key) Public() crypto.PublicKey { return k.public }

// Sign asks for a signature of digest and waits up to 10 s for it. Its first
// argument is not used: the key's owner has its own randomness.
func (k key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	_, pss := opts.(*rsa.PSSOptions)
	answer, err := k.asker.ask(Message{Op: OpSign, Digest: digest, Hash: uint(opts.HashFunc()), PSS: pss})
	if err != nil {
		return nil, fmt.Errorf("ask for a signature: %w", err)
	}
	return answer, nil
}

func (s *Signatures) ask(m Message) ([]byte, error) {
	answer := make(chan Message, 1)
	s.mu.Lock()
	s.lastID++
	m.ID = s.lastID
	s.waiting[m.ID] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, m.ID)
		s.mu.Unlock()
	}()
	if err := s.send(m); err != nil {
		return nil, err
	}
	timer := time.NewTimer(signTimeout)
	defer timer.Stop()
	select {
	case got := <-answer:
		if got.Error != "" {
			return nil, errors.New(got.Error)
		}
		return got.Signature, nil
	case <-timer.C:
		return nil, fmt.Errorf("no answer for %v", signTimeout)
	}
}

// Deliver hands an OpSignature message to whoever waits for it. One that nobody
// waits for (any more) is dropped.
func (s *Signatures) Deliver(m Message) {
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
