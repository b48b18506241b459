package tree

// A jail's ids are a block of IDCount ids of the host's, of which no other jail
// has any. Blocks begin at FirstIDBase, far above people and the usual
// subordinate ids.
const (
	IDCount     = 65536
	FirstIDBase = 1 << 24
)
