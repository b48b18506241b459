package delay

import "slices"

// chunkSizes are what frames are kept in: a small packet, one of a usual MTU, a
// part of a large frame, the largest.
var chunkSizes = [...]int{256, 2048, 16 << 10, maxFrame}

// maxFrame is the largest frame taken, with its vnet header: 64 KiB cut by the
// device, and headers.
const maxFrame = headerLen + 65536 + 256

// chunkShares bound the memory of all queues together, by size of chunk: what was
// once cut into chunks of one size never serves for another.
var chunkShares = [len(chunkSizes)]int{64 << 20, 192 << 20, 128 << 20, 128 << 20}

// holding is the memory that one queue has, in bytes, by size of chunk.
type holding [len(chunkSizes)]int

func (h *holding) bytes() (sum int) {
	for _, n := range h {
		sum += n
	}
	return sum
}

// classOf is the index of the chunk size for n bytes; -1: there is none.
func classOf(n int) int {
	return slices.IndexFunc(chunkSizes[:], func(size int) bool { return n <= size })
}

// store keeps memory for frames, outside the garbage collector's sight, in
// chunks of a few sizes. What was used once stays for the next time.
type store struct {
	grow     func(bytes int) ([]byte, error)
	free     [len(chunkSizes)][][]byte
	obtained holding // from grow
	out      holding // of that, what queues have

	scratch [maxFrame]byte // for cutting large frames
}

// slabBytes is what is obtained at a time.
const slabBytes = 1 << 20

// take gives a chunk of at most room bytes, cut to n, to who holds h; nil says that
// there is none.
func (s *store) take(n, room int, h *holding) []byte {
	class := classOf(n)
	if class < 0 {
		return nil
	}
	size := chunkSizes[class]
	if size > room || !s.allows(class, h[class]+size) || len(s.free[class]) == 0 && !s.refill(class) {
		return nil
	}
	last := len(s.free[class]) - 1
	chunk := s.free[class][last]
	s.free[class] = s.free[class][:last]
	h[class] += size
	s.out[class] += size
	return chunk[:n]
}

// allows tells whether a queue may hold so much. A little is everybody's as long as
// there is any; for more, a quarter must stay, and nobody holds more than four times
// what is left of the rest (dynamic thresholds: Choudhury and Hahne, 1998): one alone
// three fifths of all, many together nearly three quarters. So queues without a bound
// of their own, however many, leave room to one that asks for little.
func (s *store) allows(class, held int) bool {
	share, out := chunkShares[class], s.out[class]
	if held <= share/128 {
		return out+chunkSizes[class] <= share
	}
	return held <= 4*(share*3/4-out)
}

func (s *store) refill(class int) bool {
	if s.obtained[class]+slabBytes > chunkShares[class] {
		return false
	}
	slab, err := s.grow(slabBytes)
	if err != nil {
		return false
	}
	s.obtained[class] += len(slab)
	size := chunkSizes[class]
	for len(slab) >= size {
		s.free[class] = append(s.free[class], slab[:size:size])
		slab = slab[size:]
	}
	return true
}

// give takes a chunk back from who held h.
func (s *store) give(chunk []byte, h *holding) {
	class := slices.Index(chunkSizes[:], cap(chunk))
	s.free[class] = append(s.free[class], chunk[:cap(chunk)])
	h[class] -= cap(chunk)
	s.out[class] -= cap(chunk)
}
