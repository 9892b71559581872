package oip

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// sizes are the bytes of an element of each datatype that has fixed ones.
var sizes = map[string]int{
	"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8,
	"INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
	"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8,
}

// numbers writes a tensor as JSON, of the datatypes that images are given in.
func numbers(datatype string, data []byte) (json.RawMessage, error) {
	out := []byte{'['}
	separate := func() {
		if len(out) > 1 {
			out = append(out, ',')
		}
	}
	switch datatype {
	case "UINT8":
		for _, b := range data {
			separate()
			out = strconv.AppendUint(out, uint64(b), 10)
		}
	case "FP32":
		for i := 0; i < len(data); i += 4 {
			separate()
			out = strconv.AppendFloat(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))), 'g', -1, 32)
		}
	default:
		return nil, fmt.Errorf("datatype %s is sent to servers with binary tensors only", datatype)
	}
	return append(out, ']'), nil
}

// content reads a tensor that came as JSON, flat or nested; of datatypes that
// vary in size it is empty.
func content(datatype string, data json.RawMessage) ([]byte, error) {
	size := sizes[datatype]
	if size == 0 {
		return nil, nil
	}
	var out []byte
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			break // the end: what is cut short fails by its size
		}
		switch token := token.(type) {
		case json.Delim:
		case bool:
			out = append(out, 0)
			if token {
				out[len(out)-1] = 1
			}
		case json.Number:
			if out, err = appendNumber(out, datatype, token); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("%v is no %s", token, datatype)
		}
	}
	return out, nil
}

// appendNumber appends a number as its datatype has it.
func appendNumber(out []byte, datatype string, number json.Number) ([]byte, error) {
	var err error
	var value any
	switch datatype {
	case "FP32":
		var f float64
		f, err = strconv.ParseFloat(number.String(), 32)
		value = float32(f)
	case "FP64":
		value, err = number.Float64()
	case "BOOL", "UINT8", "UINT16", "UINT32", "UINT64":
		var n uint64
		n, err = strconv.ParseUint(number.String(), 10, sizes[datatype]*8)
		return appendBits(out, n, sizes[datatype]), err
	case "INT8", "INT16", "INT32", "INT64":
		var n int64
		n, err = strconv.ParseInt(number.String(), 10, sizes[datatype]*8)
		return appendBits(out, uint64(n), sizes[datatype]), err
	default:
		return nil, fmt.Errorf("datatype %s comes as binary only", datatype)
	}
	if err != nil {
		return nil, err
	}
	return binary.Append(out, binary.LittleEndian, value)
}

// appendBits appends the lowest bytes of n, little-endian.
func appendBits(out []byte, n uint64, size int) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return append(out, b[:size]...)
}
