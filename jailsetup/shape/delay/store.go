package delay

import "slices"

// maxStoreBytes bounds the memory of all queues together.
const maxStoreBytes = 512 << 20

// chunkSizes are what frames are kept in: a small packet, one of a usual MTU, a
// part of a large frame, the largest.
var chunkSizes = [...]int{256, 2048, 16 << 10, maxFrame}

// maxFrame is the largest frame taken, with its vnet header: 64 KiB cut by the
// device, and headers.
const maxFrame = headerLen + 65536 + 256

func chunkSize(n int) int {
	for _, size := range chunkSizes {
		if n <= size {
			return size
		}
	}
	return n
}

// store keeps memory for frames, outside the garbage collector's sight, in
// chunks of a few sizes. What was used once stays for the next time.
type store struct {
	grow func(bytes int) ([]byte, error)
	free [len(chunkSizes)][][]byte
	used int // bytes obtained

	scratch [maxFrame]byte // for cutting large frames
}

// slabBytes is what is obtained at a time.
const slabBytes = 1 << 20

// take gives a chunk cut to n bytes; nil says that there is no room.
func (s *store) take(n int) []byte {
	class := slices.IndexFunc(chunkSizes[:], func(size int) bool { return n <= size })
	if class < 0 || len(s.free[class]) == 0 && !s.refill(class) {
		return nil
	}
	last := len(s.free[class]) - 1
	chunk := s.free[class][last]
	s.free[class] = s.free[class][:last]
	return chunk[:n]
}

func (s *store) refill(class int) bool {
	if s.used+slabBytes > maxStoreBytes {
		return false
	}
	slab, err := s.grow(slabBytes)
	if err != nil {
		return false
	}
	s.used += len(slab)
	size := chunkSizes[class]
	for len(slab) >= size {
		s.free[class] = append(s.free[class], slab[:size:size])
		slab = slab[size:]
	}
	return true
}

// give takes a chunk back.
func (s *store) give(chunk []byte) {
	for class, size := range chunkSizes {
		if cap(chunk) == size {
			s.free[class] = append(s.free[class], chunk[:size])
			return
		}
	}
}
