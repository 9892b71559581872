package frame

import (
	"fmt"
	"image"
	"sync"
)

// Reel is a sequence of frames that repeats. Several cameras may show it.
type Reel struct {
	images []image.Image
	pixels Pixels

	mu   sync.Mutex
	made map[string]made
	left int // bytes that may still be kept
}

type made struct {
	data  []byte
	shape []int64
}

// keep bounds the tensors that a reel keeps, in bytes.
const keep = 512 << 20

// NewReel returns a reel of at least one image.
func NewReel(images []image.Image, p Pixels) *Reel {
	return &Reel{images: images, pixels: p, made: map[string]made{}, left: keep}
}

// Tensor makes an input of the nth frame, counted on from 0 for ever: see the
// function of that name. The caller must not write to what it returns.
func (r *Reel) Tensor(n int, shape []int64, datatype string) (data []byte, exact []int64, err error) {
	n %= len(r.images)
	key := fmt.Sprint(n, shape, datatype)
	r.mu.Lock()
	defer r.mu.Unlock() // who wants the same frame waits for it, and makes it not again
	if m, ok := r.made[key]; ok {
		return m.data, m.shape, nil
	}
	data, exact, err = Tensor(r.images[n], shape, datatype, r.pixels)
	if err == nil && len(data) <= r.left {
		r.left -= len(data)
		r.made[key] = made{data, exact}
	}
	return data, exact, err
}
