package frame

import (
	"fmt"
	"slices"
)

// layout is where the pixels of a picture go.
type layout struct {
	// shape is the tensor's, without -1.
	shape []int64
	// height, width and channels are 1 at least; 3 channels are colours, 1 is grey.
	height, width, channels int
	// planar is set when each channel is a plane of its own (NCHW), else the
	// channels of a pixel stand together (NHWC).
	planar bool
}

// maxSide bounds a model's picture: more is a mistake of its metadata.
const maxSide = 8192

// layoutOf reads a model's shape: [N] C H W or [N] H W C, of a batch of one. Where
// it leaves height or width open they are the picture's own.
func layoutOf(shape []int64, height, width int) (layout, error) {
	l := layout{shape: slices.Clone(shape)}
	image := l.shape
	if len(image) == 4 {
		if image[0] == -1 {
			image[0] = 1
		}
		if image[0] != 1 {
			return l, fmt.Errorf("shape %v is a batch of %d: only models that take one picture at a time can be shown frames", shape, image[0])
		}
		image = image[1:]
	}
	if len(image) != 3 {
		return l, fmt.Errorf("shape %v is no picture's: it takes three dimensions, or four with the batch", shape)
	}
	for _, channels := range []int64{3, 1} { // a side of 1 is rarer than grey
		switch channels {
		case image[0]:
			l.planar = true
			image = image[1:]
		case image[2]:
			image = image[:2]
		default:
			continue
		}
		l.channels = int(channels)
		break
	}
	if l.channels == 0 {
		return l, fmt.Errorf("shape %v has neither 3 nor 1 channels", shape)
	}
	for i, own := range []int{height, width} {
		if image[i] == -1 {
			image[i] = int64(own)
		}
		if image[i] < 1 || image[i] > maxSide {
			return l, fmt.Errorf("shape %v has a side of %d", shape, image[i])
		}
	}
	l.height, l.width = int(image[0]), int(image[1])
	return l, nil
}

// index is where a channel's value of the pixel at column x of row y goes.
func (l layout) index(x, y, channel int) int {
	if l.planar {
		return (channel*l.height+y)*l.width + x
	}
	return (y*l.width+x)*l.channels + channel
}
