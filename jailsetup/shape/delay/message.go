package delay

import "time"

// MaxMessage bounds a control message in bytes.
const MaxMessage = 64 << 10

// Operations. The supervisor asks, the node answers each with OpOK, OpError or,
// for OpLinks, OpLinks; it says OpReady of itself when a connection begins.
const (
	OpReady  = "ready"
	OpOK     = "ok"
	OpError  = "error"
	OpAdd    = "add"    // Link with its pipes; two sockets: the jail's side, the LAN's
	OpChange = "change" // Link's pipes; frames in the queues stay
	OpRemove = "remove" // Link.ID; one that isn't there is success
	OpLinks  = "links"  // all links from the one after Link.ID on, in order of ID; More says that it is not the end
	OpListen = "listen" // one listening socket, where the next supervisor comes
	OpExit   = "exit"   // the node ends, answered
)

// Message is a control message in either direction, JSON in one packet.
type Message struct {
	Op    string `json:"op"`
	Error string `json:"error,omitempty"`
	Link  *Link  `json:"link,omitempty"`
	Links []Link `json:"links,omitempty"`
	More  bool   `json:"more,omitempty"`
	PID   int    `json:"pid,omitempty"`  // ready: the node's, as the host counts
	Note  string `json:"note,omitempty"` // ready: what the node lacks, for people
}

// Link is a link as the node knows it. Out is what the jail sends, In what it
// gets.
type Link struct {
	ID  string   `json:"id"`
	Out Pipe     `json:"out"`
	In  Pipe     `json:"in"`
	To  Counters `json:"to"`   // links: of Out
	Fro Counters `json:"from"` // links: of In
}

// Pipe is what happens to frames of one direction. The zero Pipe passes them.
type Pipe struct {
	Delay  time.Duration `json:"delay,omitempty"`
	Jitter time.Duration `json:"jitter,omitempty"` // each frame's delay is Delay ± Jitter, uniform
	Loss   float64       `json:"loss,omitempty"`   // share of packets, 0 to 1
	Seed   uint64        `json:"seed,omitempty"`   // of the dice; 0: another each time
	// MaxBytes bounds what waits; what comes beyond is dropped. 0 and anything
	// above: maxPipeBytes.
	MaxBytes int  `json:"max_bytes,omitempty"`
	RED      *RED `json:"red,omitempty"`
}

// RED drops early from a queue that drains at Rate. The queue itself stands
// elsewhere (a qdisc); here it is counted.
type RED struct {
	Rate    int64   `json:"rate"`    // bit/s, more than 0
	Limit   int     `json:"limit"`   // packets, or bytes with Bytes
	Bytes   bool    `json:"bytes"`   // thresholds and limit count bytes
	Min     float64 `json:"min"`     // below this average nothing is dropped
	Max     float64 `json:"max"`     // above, everything; with Gentle above twice that
	Weight  float64 `json:"weight"`  // of the newest length in the average, 0 to 1
	MaxProb float64 `json:"maxprob"` // drop probability at Max
	Gentle  bool    `json:"gentle"`
}

// Counters are of one direction since the link came. Packets and bytes count
// as on a wire: segments, with their Ethernet headers, without FCS.
type Counters struct {
	Packets  uint64 `json:"packets"` // passed on
	Bytes    uint64 `json:"bytes"`
	Lost     uint64 `json:"lost"`     // by Loss
	Early    uint64 `json:"early"`    // by RED
	Overflow uint64 `json:"overflow"` // no room: here, or in the device's queue
	Missed   uint64 `json:"missed"`   // frames that the node was too slow for
	Bad      uint64 `json:"bad"`      // malformed frames
	Waiting  int    `json:"waiting"`  // frames in the queue now
}
