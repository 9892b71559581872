//go:build cluster

package inference_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// TestRefusals: whatever a client may get wrong is answered with a sentence
// about it, and the server goes on.
func TestRefusals(t *testing.T) {
	s := start(t)
	s.ready(t)
	image := values(t)
	data := raw(t, image)
	good := string(requestOf(t, image))
	with := func(more object) string { return string(encode(t, object{"inputs": []object{input(more)}})) }
	request := func(more object) string {
		o := object{"inputs": []object{input(object{"data": image})}}
		for key, value := range more {
			o[key] = value
		}
		return string(encode(t, o))
	}
	sized := with(object{"parameters": object{"binary_data_size": len(data)}})
	length := func(text string) map[string]string {
		return map[string]string{"Inference-Header-Content-Length": strconv.Itoa(len(text))}
	}
	infinite := bytes.Clone(data)
	copy(infinite, "\x00\x00\x80\x7f")
	text := make([]any, len(image))
	for i := range text {
		text[i] = "1"
	}
	for name, test := range map[string]struct {
		method, path string // POST, and the path of an inference, unless given
		header       map[string]string
		body         string
		status       int
		want         string
	}{
		"no such path":           {method: "GET", path: "/v1", status: 404, want: "there is no /v1 here"},
		"no such model":          {method: "GET", path: "/v2/models/cats", status: 404, want: "there is no model 'cats' here: this server has face-recognition"},
		"inferring with none":    {path: "/v2/models/cats/infer", body: good, status: 404, want: "there is no model 'cats'"},
		"no such version":        {path: "/v2/models/face-recognition/versions/2/infer", body: good, status: 404, want: "has no version '2': it has 1"},
		"GET of an inference":    {method: "GET", status: 405, want: "does not take GET"},
		"POST of metadata":       {path: "/v2", status: 405, want: "does not take POST"},
		"empty":                  {status: 400, want: "the request is not JSON"},
		"a form":                 {header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, body: good, status: 415, want: "send application/json"},
		"compressed":             {header: map[string]string{"Content-Encoding": "gzip"}, body: good, status: 415, want: "is encoded with gzip"},
		"too large":              {body: strings.Repeat(" ", 5<<20), status: 413, want: "larger than 3604480 bytes"},
		"much too large":         {body: strings.Repeat(" ", 50<<20), status: 413, want: "larger than 3604480 bytes"},
		"not JSON":               {body: "face", status: 400, want: "the request is not JSON"},
		"half of the JSON":       {body: good[:len(good)/2], status: 400, want: "the request is not JSON"},
		"not UTF-8":              {body: "\xff\xfe", status: 400, want: "the request is not JSON"},
		"nested for ever":        {body: strings.Repeat("[", 1<<20), status: 400, want: "the request is not JSON"},
		"a number without end":   {body: `{"inputs":` + strings.Repeat("9", 1<<20) + "}", status: 400, want: "the request is not JSON"},
		"NaN":                    {body: strings.Replace(good, "[0,", "[NaN,", 1), status: 400, want: "NaN is not a number in JSON"},
		"a list":                 {body: "[]", status: 400, want: "not a JSON object"},
		"no inputs":              {body: "{}", status: 400, want: "the request needs inputs"},
		"inputs of numbers":      {body: `{"inputs":[1]}`, status: 400, want: "the request needs inputs"},
		"an empty list":          {body: `{"inputs":[]}`, status: 400, want: "input 'input_1' is missing"},
		"another input":          {body: strings.Replace(good, "input_1", "image", 1), status: 400, want: "the model has no input 'image': it has input_1"},
		"an input twice":         {body: string(encode(t, object{"inputs": []object{input(object{"data": image}), input(object{"data": image})}})), status: 400, want: "is given twice"},
		"another datatype":       {body: with(object{"datatype": "UINT8", "data": image}), status: 400, want: "has datatype 'UINT8', the model takes FP32"},
		"another shape":          {body: with(object{"shape": []int{1, 3, 192, 192}, "data": image}), status: 400, want: "has shape [1, 3, 192, 192], the model takes [1, 192, 192, 3]"},
		"a shape of words":       {body: with(object{"shape": []any{true, "a"}, "data": image}), status: 400, want: "needs shape, a list of whole numbers"},
		"too few numbers":        {body: with(object{"data": image[1:]}), status: 400, want: "has 110591 numbers, shape [1, 192, 192, 3] has 110592"},
		"lists of two lengths":   {body: with(object{"data": []any{[]int{1}, []int{1, 2}}}), status: 400, want: "neither flat nor nested"},
		"nested another way":     {body: with(object{"data": [][]float32{image}}), status: 400, want: "shape [1, 192, 192, 3] has 110592"},
		"no data":                {body: with(nil), status: 400, want: "needs data"},
		"numbers as text":        {body: with(object{"data": text}), status: 400, want: "is not all numbers"},
		"a number above FP32":    {body: strings.Replace(good, "[0,", "[1e300,", 1), status: 400, want: "no finite numbers of datatype FP32"},
		"id of a number":         {body: request(object{"id": 7}), status: 400, want: "id is not a string"},
		"another output":         {body: request(object{"outputs": []object{{"name": "boxes"}}}), status: 400, want: "the model has no output 'boxes': it has Identity, Identity_1"},
		"an output twice":        {body: request(object{"outputs": []object{{"name": "Identity"}, {"name": "Identity"}}}), status: 400, want: "is asked for twice"},
		"parameters of a word":   {body: request(object{"parameters": "fast"}), status: 400, want: "parameters of the request is not an object"},
		"classification":         {body: request(object{"outputs": []object{{"name": "Identity", "parameters": object{"classification": 3}}}}), status: 400, want: "does not have the extension"},
		"shared memory":          {body: with(object{"parameters": object{"shared_memory_region": "x"}}), status: 400, want: "does not have the extension"},
		"binary, no length":      {body: sized, status: 400, want: "but only 0 follow the JSON"},
		"binary, too short":      {header: length(sized), body: sized + string(data[4:]), status: 400, want: "but only 442364 follow"},
		"binary, too long":       {header: length(sized), body: sized + string(data) + "four", status: 400, want: "4 bytes follow the inputs' binary data"},
		"binary, another size":   {header: length(with(object{"parameters": object{"binary_data_size": 4}})), body: with(object{"parameters": object{"binary_data_size": 4}}) + "four", status: 400, want: "its shape and datatype take 442368"},
		"binary, size of a word": {body: with(object{"parameters": object{"binary_data_size": "4"}}), status: 400, want: "binary_data_size of input 'input_1' is '4'"},
		"binary, infinite":       {header: length(sized), body: sized + string(infinite), status: 400, want: "no finite numbers"},
		"a length beyond":        {header: map[string]string{"Inference-Header-Content-Length": "99999999"}, body: good, status: 400, want: "but the body has"},
		"a length of a word":     {header: map[string]string{"Inference-Header-Content-Length": "all"}, body: good, status: 400, want: "is not a number of bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.method == "" {
				test.method = http.MethodPost
			}
			if test.path == "" {
				test.path = inferPath
			}
			status, header, body := s.do(t.Context(), test.method, test.path, test.header, []byte(test.body))
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 1 {
				t.Fatalf("%d: %.300q is not an object with error alone: %v", status, body, err)
			}
			if status != test.status || !strings.Contains(got["error"], test.want) {
				t.Errorf("%d: %s, want %d: %s", status, got["error"], test.status, test.want)
			}
			if status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
				t.Error("it does not say what it allows")
			}
		})
	}
	if status, _, body := s.do(t.Context(), http.MethodPost, inferPath, nil, []byte(good)); status != http.StatusOK {
		t.Errorf("after all this a good request is answered %d: %.300s", status, body)
	}
	if strings.Contains(s.said(), "Traceback") {
		t.Errorf("it logged a bug:\n%s", s.said())
	}
}
