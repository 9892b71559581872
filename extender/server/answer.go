package server

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// The answers are the JSON of extenderv1.ExtenderFilterResult and
// HostPriorityList, appended field by field: no reflection, one buffer.

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (p [256]bool) {
	for c := range p {
		p[c] = c >= 0x20 && c < 0x7f && c != '"' && c != '\\'
	}
	return p
}()

// appendString appends s as a JSON string. Nearly all that are written here
// are node names and plain sentences, which need no escaping.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if !plain[s[i]] {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // there is no string that json cannot marshal
	}
	return append(b, quoted...)
}

// appendFailed appends a FailedNodesMap of the rejections that are, or are
// not, for good.
func appendFailed(b []byte, rejected []rejection, forGood bool) []byte {
	b = append(b, '{')
	for i := range rejected {
		r := &rejected[i]
		if r.forGood() != forGood {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = appendString(b, r.node.Name)
		b = append(b, ':')
		b = appendString(b, r.verdict.Message)
	}
	return append(b, '}')
}

// appendFailure appends a filter result that is nothing but an error.
func appendFailure(b []byte, sentence string) []byte {
	b = append(b, `{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":`...)
	b = appendString(b, sentence)
	return append(b, '}')
}

// appendScore appends one HostPriority.
func appendScore(b []byte, host string, score int64) []byte {
	b = append(b, `{"Host":`...)
	b = appendString(b, host)
	b = append(b, `,"Score":`...)
	b = strconv.AppendInt(b, score, 10)
	return append(b, '}')
}

var jsonType = []string{"application/json"}

// send writes a complete JSON body with status 200.
func send(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body) // the client is gone: nobody is left to tell
}
